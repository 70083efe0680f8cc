/** A server's reply as one printable line of at most 160 characters, fit for a log, a ledger or an error. */
export function cleanReply(reply: string): string {
  const line = reply
    .replace(/\p{C}+/gu, ' ')
    .replace(/ +/g, ' ')
    .trim()
  return line.length > 160 ? `${line.slice(0, 159)}…` : line
}
