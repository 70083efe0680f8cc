/** Texts of others for a terminal: no control character reaches it, so that none can move the cursor, hide a line or turn one round. */

/** Keeps line breaks and tabs. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]|[\u202A-\u202E\u2066-\u2069]/gu, '\uFFFD')
}
