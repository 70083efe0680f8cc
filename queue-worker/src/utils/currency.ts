/** ISO 4217: which currencies there are, and how many digits of an amount in minor units stand behind the point. */

const WITHOUT_MINOR_UNIT = 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'
const THOUSANDTHS = 'BHD IQD JOD KWD LYD OMR TND'
const TEN_THOUSANDTHS = 'CLF UYW'
const HUNDREDTHS =
  'AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP ' +
  'COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR ' +
  'JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN ' +
  'NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL ' +
  'THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD YER ZAR ZMW ZWG'

const EXPONENTS: ReadonlyMap<string, number> = new Map(
  [WITHOUT_MINOR_UNIT, [], HUNDREDTHS, THOUSANDTHS, TEN_THOUSANDTHS].flatMap((codes, exponent) =>
    (typeof codes === 'string' ? codes.split(' ') : codes).map((code) => [code, exponent] as const),
  ),
)

/** The codes that are known, in capitals. */
export const CURRENCIES: readonly string[] = [...EXPONENTS.keys()]

/** Digits behind the point; undefined for a currency that is not known. */
export function currencyExponent(currency: string): number | undefined {
  return EXPONENTS.get(currency)
}

/** 12345 with exponent 2 as "123.45". Exact: there is no float on the way. */
export function toDecimal(minor: bigint, exponent: number): string {
  const digits = minor.toString().padStart(exponent + 1, '0')
  return exponent === 0 ? digits : `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`
}

/**
 * "123.45" with exponent 2 as 12345.
 * @throws RangeError for what is no such number, or has more digits behind the point.
 */
export function fromDecimal(text: string, exponent: number): bigint {
  const [, whole = '', fraction = ''] = /^(\d{1,18})(?:\.(\d+))?$/.exec(text) ?? []
  const kept = fraction.slice(0, exponent).padEnd(exponent, '0')
  if (whole === '' || /[1-9]/.test(fraction.slice(exponent))) {
    throw new RangeError(`"${text}" is no amount with ${exponent} digits behind the point`)
  }
  return BigInt(whole + kept)
}
