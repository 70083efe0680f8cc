'use server'
/** The same as a server action, for a form: <form action={signUp}> or useActionState(signUp, null). */
import { isRegistration, type Registered, register } from '../../../register.ts'

export async function signUp(_before: Registered | null, form: FormData): Promise<Registered> {
  const asked = { course: Number(form.get('course')), name: form.get('name'), email: form.get('email') }
  return isRegistration(asked) ? register(asked) : { refused: 'give course, name and email' }
}
