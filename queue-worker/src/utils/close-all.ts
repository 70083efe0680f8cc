/**
 * Closes what was opened, the last one first; what cannot be closed keeps none of the others open. `opened` is empty then.
 * @throws the first failure, when all is done.
 */
export async function closeAll(opened: (() => Promise<unknown>)[]): Promise<void> {
  const failures: { readonly error: unknown }[] = []
  for (const close of opened.splice(0).reverse()) {
    try {
      await close()
    } catch (error) {
      failures.push({ error })
    }
  }
  const [first] = failures
  if (first !== undefined) throw first.error
}
