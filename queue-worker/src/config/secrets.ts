/** Which values of the environment are secrets. */
import { amqpPasswordsIn } from './amqp-url.ts'
import { passwordsIn } from './database-url.ts'
import { type Environment, given } from './gather.ts'
import type { Values } from './settings.ts'

/** Variables whose whole value is a secret, under every name they have, whether they are used or not. */
const SECRET_NAMES = [
  'SUPABASE_SECRET_KEY',
  'SUPABASE_SERVICE_ROLE_KEY',
  'PGPASSWORD',
  'DB_PASSWORD',
  'SMTP_PASS',
  'SMTP_PASSWORD',
  'HTTP_CALLBACKS_SECRET',
  'STRIPE_SECRET_KEY',
  'STRIPE_WEBHOOK_SECRET',
  'YOOKASSA_SECRET_KEY',
  'ADMIN_TOKEN',
  'VIEWER_TOKEN',
  'WORKER_WAKE_TOKEN',
]

/** Every secret value: keys, passwords, and the passwords inside connection strings. */
export function secretsIn(env: Environment, values: Values, databaseUrl: string | undefined): string[] {
  const whole = SECRET_NAMES.flatMap((name) => given(env, name) ?? [])
  const inside = [databaseUrl, values.DATABASE_URL].flatMap((url) =>
    url === undefined ? [] : passwordsIn(url),
  )
  const several = (name: string) => (given(env, name) ?? '').split(/[\s,]+/).filter((one) => one !== '')
  const keys = several('HTTP_CALLBACKS_SECRET').flatMap((secret) => [secret, secret.replace(/^whsec_/, '')])
  inside.push(
    ...keys,
    ...several('ADMIN_TOKEN'),
    ...several('VIEWER_TOKEN'),
    ...several('WORKER_WAKE_TOKEN'),
    ...amqpPasswordsIn(given(env, 'AMQP_URL') ?? ''),
  )
  return [...new Set([...whole, ...whole.map((value) => value.trim()), ...inside])]
}
