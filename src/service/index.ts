export type { ServiceLimits } from './limits.ts'
export { Service, type ServiceOptions } from './service.ts'
export type { Awaitable, Logger, MetaClient, TSDBStore } from './stores.ts'
