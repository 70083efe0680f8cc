/** What a message of the queue reports may say, what its report says of itself, and the mail it becomes. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { UnrecoverableError } from '../../src/errors.ts'
import { aboutReport } from '../../src/processors/report-about.ts'
import { type MailParts, reportMail } from '../../src/processors/report-mail.ts'
import { fileNameOf } from '../../src/processors/report-name.ts'
import { reportPayload } from '../../src/processors/report-payload.ts'

test('the JSON Schema in the docs is the schema', () => {
  const file = new URL('../../../docs/processors/reports.schema.json', import.meta.url)
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(z.toJSONSchema(reportPayload, { io: 'input' }))
})

describe('a payload', () => {
  test('may leave out, or set to null, all but the report and its format', () => {
    const least = { report: 'sales', format: 'csv' }
    const expected = {
      ...{ report: 'sales', format: 'csv', params: {} },
      ...{ title: undefined, timeZone: undefined, deliver: undefined },
    }
    expect(reportPayload.parse(least)).toEqual(expected)
    const nulls = { params: null, title: null, timeZone: null, time_zone: null, deliver: null }
    expect(reportPayload.parse({ ...least, ...nulls })).toEqual(expected)
    expect(reportPayload.parse({ ...least, time_zone: 'Asia/Tokyo' }).timeZone).toBe('Asia/Tokyo')
  })

  test.each([
    [{ report: 'Sales', format: 'csv' }, /report must be the name of a function/],
    [{ report: 'sales' }, /format must be one of csv, xlsx, pdf, json/],
    [{ report: 'sales', format: 'csv', parms: {} }, /unknown key "parms"; known are: report, params/],
    [{ report: 'sales', format: 'csv', params: [1] }, /give params as an object/],
    [{ report: 'sales', format: 'csv', title: 'a\nb' }, /title must not contain line breaks/],
    [{ report: 'sales', format: 'csv', timeZone: 'UTC', time_zone: 'UTC' }, /not both/],
    [{ report: 'sales', format: 'csv', deliver: { to: 'x' } }, /"x" is not an e-mail address/],
    [{ report: 'sales', format: 'csv', deliver: { to: [] } }, /the list is empty/],
    [{ report: 'sales', format: 'csv', deliver: { to: 'a@b.example', bcc: 'x' } }, /unknown key "bcc"/],
    ['sales', /a report message is a JSON object such as/],
  ])('%j is refused with what is wrong', (payload, expected) => {
    const issues = reportPayload.safeParse(payload).error?.issues ?? []
    expect(issues.map(({ message }) => message).join()).toMatch(expected)
  })
})

describe('what a report says of itself', () => {
  const columns = ['day', 'sent', 'failed'].map((name) => ({ name, type: 'integer' }))
  const given = { report: 'daily_sales', title: undefined, params: {}, timeZone: 'UTC', columns }

  test('comes from the comment on its function and its parameters', () => {
    const comment = 'Daily sales\nBy day.\nchart: bar day sent, failed'
    const params = { since: '2026-11-01', until: '2026-11-30', shop_name: 'north', none: null }
    expect(aboutReport({ ...given, comment, params })).toEqual({
      title: 'Daily sales',
      lines: ['By day.', 'Period: 2026-11-01 – 2026-11-30', 'shop name: north', 'Time zone: UTC'],
      chart: { kind: 'bar', label: 'day', values: ['sent', 'failed'] },
    })
    expect(aboutReport({ ...given, comment, title: 'Mine' }).title).toBe('Mine')
  })

  test('can be nothing; and a chart of columns that are not there is none', () => {
    expect(aboutReport({ ...given, comment: null })).toEqual({
      title: 'daily sales',
      lines: ['Time zone: UTC'],
      chart: null,
    })
    expect(aboutReport({ ...given, comment: 'T\nchart: bar day nothing' }).chart).toBeNull()
  })
})

describe('the mail', () => {
  const parts: MailParts = {
    delivery: { to: 'a@b.example', cc: undefined, subject: undefined, text: undefined },
    ...{ title: 'Sales', fileName: 'sales.csv', contentType: 'text/csv', rows: 1, bytes: 3_200_000 },
    ...{ content: null, link: null, linkSeconds: 604_800 },
  }
  test('has the file, or a link to it', () => {
    const attached = reportMail({ ...parts, content: Buffer.from('x') })
    expect(attached).toMatchObject({ subject: 'Sales', attachments: [{ contentBase64: 'eA==' }] })
    const linked = reportMail({ ...parts, link: 'https://x.example/y' })
    expect(linked.text).toBe(
      'Sales\n\nDownload, for 7 days:\nhttps://x.example/y\n\nsales.csv, 1 row, 3.2 MB\n',
    )
    expect(linked).not.toHaveProperty('attachments')
  })
  test('is not sent without either', () => {
    expect(() => reportMail(parts)).toThrow(UnrecoverableError)
    expect(() => reportMail(parts)).toThrow(/3\.2 MB, too large to be attached.*REPORTS_BUCKET/)
  })
})

test('a file’s name follows from the message, whatever its origin key is', () => {
  const asked = { report: 'sales', format: 'csv' } as const
  const key = '0123456789abcdef0123456789abcdef'
  expect(fileNameOf(asked, key)).toBe(`sales-${key}.csv`)
  expect(fileNameOf(asked, '../../etc/passwd')).toMatch(/^sales-[0-9a-f]{32}\.csv$/)
  expect(fileNameOf(asked, 'order 1')).not.toBe(fileNameOf(asked, 'order 2'))
})
