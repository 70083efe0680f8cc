/** The one thing this service does. Whoever asks for it, the plain server or Next.js, shares this file. */
import postgres from 'postgres'

export type Registration = { readonly course: number; readonly name: string; readonly email: string }
export type Registered = { readonly id: string } | { readonly refused: string }

const { DATABASE_URL: url } = process.env
if (!url) throw new Error('set DATABASE_URL to the database of the service')
const sql = postgres(url)

/**
 * Takes a seat, keeps the registration and enqueues the mail about it in ONE transaction. Whatever fails in it undoes all of it: there is no
 * mail about a registration that does not exist, and no registration without its mail.
 */
export async function register({ course, name, email }: Registration): Promise<Registered> {
  try {
    return await sql.begin(async (tx) => {
      const [row] =
        await tx`insert into registrations (course, name, email) values (${course}, ${name}, ${email}) returning id`
      const mail = { to: email, subject: 'You are in', text: `Hello ${name}, your seat is booked.` }
      await tx`select pgmq.send('email_queue', ${tx.json(mail)}::jsonb)`
      // Last on purpose: when no seat is left, it undoes a mail that was enqueued already.
      await tx`update courses set seats_left = seats_left - 1 where id = ${course}`
      return { id: String(row?.id) }
    })
  } catch (error) {
    const refused = error instanceof postgres.PostgresError ? REFUSALS[error.code] : undefined
    if (refused === undefined) throw error
    return { refused }
  }
}

/** What the tables refuse, in words for people. */
const REFUSALS: Readonly<Record<string, string>> = {
  '23503': 'there is no such course',
  '23505': 'you have a seat already',
  '23514': 'the course is full',
}

export function isRegistration(value: unknown): value is Registration {
  if (typeof value !== 'object' || value === null) return false
  const { course, name, email } = value as Partial<Record<keyof Registration, unknown>>
  return (
    Number.isInteger(course) && typeof name === 'string' && typeof email === 'string' && email.includes('@')
  )
}

export const close = () => sql.end()
