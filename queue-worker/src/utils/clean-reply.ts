/** A server's reply, or what else others wrote, as one printable line: fit for a log, a ledger, an error or a table. */
export function cleanReply(reply: string, most = 160): string {
  const line = reply
    .replace(/\p{C}+/gu, ' ')
    .replace(/ +/g, ' ')
    .trim()
  return line.length > most ? `${line.slice(0, most - 1).toWellFormed()}…` : line
}
