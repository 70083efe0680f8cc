/** What a page is given, and what it answers. */
import type { Processor } from '../processors/define.ts'
import type { Queue } from '../queue/contract.ts'
import type { MailFolder } from '../services/mail-folder.ts'
import type { FileStorage } from '../services/storage.ts'
import type { Html } from './html.ts'
import type { Visitor } from './visitor.ts'

/** What the pages stand on. */
export type Ground = {
  /** Asks the database; wakes a worker that sleeps. Rejects with ConnectionFailure. */
  readonly ask: <T>(question: (queue: Queue) => Promise<T>) => Promise<T>
  readonly processors: readonly Pick<Processor, 'queue' | 'payload'>[]
  /** Told when an operator looks at what is hidden of a message. */
  readonly unmasked?: (what: { readonly by: string; readonly queue: string; readonly msgId: string }) => void
  /** The mails that the embedded stack caught; nothing elsewhere. */
  readonly mails?: MailFolder | null
  /** Where the files of reports are; nothing where this worker does not know. */
  readonly reports?: Pick<FileStorage, 'size' | 'read' | 'link'> | null
}

export type Asked = {
  readonly ground: Ground
  readonly visitor: Visitor
  /** The path of the dashboard as the browser sees it, without a slash at its end; every link begins with it. */
  readonly base: string
  /** What the pattern's groups caught, decoded. */
  readonly found: readonly string[]
  readonly query: URLSearchParams
  /** What a form sent; empty otherwise. */
  readonly form: URLSearchParams
}

export type Reply =
  | {
      readonly kind: 'page'
      readonly title: string
      readonly body: Html
      readonly status?: number
      /** It is asked for again and again while somebody looks, and changes in place. */
      readonly live?: boolean
    }
  /** Within the dashboard: '/queues/email_queue'. */
  | { readonly kind: 'redirect'; readonly to: string }
  /** A whole address: where a file is kept. */
  | { readonly kind: 'elsewhere'; readonly to: string }
  | {
      readonly kind: 'file'
      readonly type: string
      readonly body: Buffer | string
      /** Offered for saving under this name; shown in the browser if left out. */
      readonly saveAs?: string
      /** What the file may do where it is shown; nothing if left out. */
      readonly policy?: string
    }

export type Page = {
  /** Below the dashboard's own path: `/^\/queues\/([^/]+)$/`. */
  readonly pattern: RegExp
  readonly method: 'GET' | 'POST'
  /** A viewer's pages are open to operators. */
  readonly role: Visitor['role']
  answer(asked: Asked): Promise<Reply>
}

/** What is asked for is not there, or makes no sense: shown with a way back. */
export class PageError extends Error {
  readonly status: number
  readonly remedy: string
  constructor(status: number, message: string, remedy: string) {
    super(message)
    this.status = status
    this.remedy = remedy
  }
}
