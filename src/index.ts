export { defineBackend } from "./backends/custom/define-backend.js";
export type {
  BackendDefinition,
  BackendRecord,
  DueRecord,
  NextRecord,
  StoreCallOptions,
} from "./backends/custom/definition.js";
export { MemoryCoordinator } from "./backends/memory/coordinator.js";
export type { MemoryOptions } from "./backends/memory/options.js";
export { Coordinator, type CoordinatorOptions, DrainableCoordinator, isDrainable } from "./coordinator.js";
export type { GroupState } from "./core/group/record.js";
export type { Verdict } from "./core/group/task-set.js";
export type { DeliveryState } from "./core/outbox/deliveries.js";
export type { InputOf, MachineName, OutputOf, TransitionName } from "./core/registry.js";
export type { RequestVerdict } from "./core/request/request.js";
export type {
  CancelledGroup,
  CompletedGroup,
  DeliveryStatus,
  GroupStatus,
  OpenGroup,
  TimedOutGroup,
} from "./delivery/group-status.js";
export type {
  GroupEventType,
  Handler,
  HandlerContext,
  HandlerEvent,
  Handlers,
  Payloads,
  PayloadsOf,
  Webhooks,
} from "./delivery/handler.js";
export {
  CoordinationError,
  type CoordinationErrorCode,
  type CoordinationErrorJson,
  type CoordinationErrorOptions,
} from "./errors.js";
export type { RetryPolicy } from "./lib/backoff.js";
export type { Clock } from "./lib/clock.js";
export type { Duration } from "./lib/duration.js";
export type {
  Backend,
  Drainable,
  DrainCallOptions,
  DrainOptions,
  DrainReport,
  RunOptions,
  Wake,
  WakingMachine,
  WatchableTransition,
  WatchOptions,
  Work,
} from "./runtime/backend.js";
export { type DrainEveryOptions, drainEvery } from "./runtime/drain-every.js";
export type { CoordinatorEvent, OnEvent } from "./runtime/events.js";
export type { AcceptedAck, AckResult, EarlyAck, RefusedAck, UnknownAck } from "./trackers/ack-result.js";
export type { CallOptions, GenerationOptions } from "./trackers/call-options.js";
export { type CoalesceOptions, CoalesceTracker } from "./trackers/coalesce.js";
export {
  CompletionTracker,
  type CompletionTrackerOptions,
  type ResultOptions,
  type ResultPage,
} from "./trackers/completion.js";
export { type DedupeOptions, type DedupeOutcome, DedupeWindow } from "./trackers/dedupe.js";
export { defineHandlers } from "./trackers/define-handlers.js";
export type { WaitCallOptions } from "./trackers/end-or-look.js";
export type { RegisterOptions, Tasks } from "./trackers/registration.js";
export type { RequestResult } from "./trackers/request-result.js";
export type { QueueStatus, RequestState, StageStatus } from "./trackers/request-status.js";
export {
  type MarkOptions,
  type NextRoot,
  type RequestProgress,
  type RequestWaitOptions,
  RequestWaitTracker,
} from "./trackers/request-wait.js";
export { RequestStatsAccumulator, type Stats, type StatsOptions } from "./trackers/stats.js";
export type {
  CompletionTarget,
  CompletionTargets,
  HandlerTarget,
  LocalTarget,
  RequestRootTarget,
  UrlTarget,
} from "./trackers/target.js";
export type { Task, TaskId } from "./trackers/task.js";
