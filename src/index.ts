export { defineBackend } from "./backends/custom/define-backend.js";
export type {
  BackendDefinition,
  BackendRecord,
  DueRecord,
  ListedName,
  NextRecord,
  StoreCallOptions,
  StoreListQuery,
} from "./backends/custom/definition.js";
export { MemoryCoordinator } from "./backends/memory/coordinator.js";
export type { MemoryOptions } from "./backends/memory/options.js";
export { Coordinator, type CoordinatorOptions, DrainableCoordinator, isDrainable } from "./coordinator.js";
export type { Verdict } from "./core/group/acks.js";
export type { OwedDelivery } from "./core/group/listing.js";
export type { CompletionReason, GroupState } from "./core/group/record.js";
export type { DeliveryState } from "./core/outbox/deliveries.js";
export type { InputOf, MachineName, OutputOf, TransitionName } from "./core/registry.js";
export type {
  CancelledGroup,
  CompletedGroup,
  DeliveryStatus,
  FailedGroup,
  GroupError,
  GroupParent,
  GroupStage,
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
export type { ParentTask } from "./delivery/targets/parent-task.js";
export type { TraceLinks } from "./delivery/trace-links.js";
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
  AttemptObserver,
  Backend,
  Drainable,
  DrainCallOptions,
  DrainOptions,
  DrainReport,
  Listing,
  RunOptions,
  Wake,
  WakingMachine,
  WatchableTransition,
  WatchOptions,
  Work,
} from "./runtime/backend.js";
export { type DrainEveryOptions, drainEvery } from "./runtime/drain-every.js";
export type { CoordinatorEvent, OnEvent } from "./runtime/events.js";
export type { ListAnswer, ListedMachine, ListedRecord, ListPosition, ListQuery } from "./runtime/listing.js";
export type { CallOptions, GenerationOptions, TraceOptions } from "./trackers/call-options.js";
export { type CoalesceOptions, CoalesceTracker } from "./trackers/coalesce.js";
export { CompletionTracker } from "./trackers/completion.js";
export { type DedupeOptions, DedupeWindow } from "./trackers/dedupe.js";
export { defineHandlers } from "./trackers/define-handlers.js";
export type { Denial } from "./trackers/denials.js";
export type { WaitCallOptions } from "./trackers/end-or-look.js";
export type { AcceptedAck, AckResult, EarlyAck, RefusedAck, UnknownAck } from "./trackers/group/ack-result.js";
export type { AddedTask } from "./trackers/group/announcement.js";
export type {
  AckOptions,
  AddResult,
  CancelOptions,
  DecrementOptions,
  ExtendOptions,
  Heartbeat,
  NamedTask,
  RetryResult,
} from "./trackers/group/calls.js";
export { GroupEnded, type GroupSignal } from "./trackers/group/group-signal.js";
export type { GroupList, ListedGroup, ListOptions } from "./trackers/group/list.js";
export type { CompletionPolicy } from "./trackers/group/policy.js";
export type {
  GroupTask,
  ProgressOptions,
  ResultOptions,
  ResultPage,
  TaskOptions,
  TaskPage,
  TaskResult,
} from "./trackers/group/reader.js";
export type { RegisterOptions, Tasks } from "./trackers/group/registration.js";
export type { CompletionTrackerOptions } from "./trackers/group/settings.js";
export type {
  CompletionTarget,
  CompletionTargets,
  HandlerTarget,
  LocalTarget,
  TaskTarget,
  UrlTarget,
} from "./trackers/group/target.js";
export type { Task, TaskId, TaskRef } from "./trackers/group/task.js";
export { type RateLimit, RateLimiter, type RateLimiterOptions } from "./trackers/rate-limiter.js";
export type {
  AbandonResult,
  AddedId,
  AddTasksResult,
  NextTasks,
  RequestRegisterOptions,
  RequestResult,
  StageCount,
  TaskDoneOptions,
  TaskIds,
} from "./trackers/request/calls.js";
export type { ListedRequest, RequestListOptions } from "./trackers/request/list.js";
export type { RequestWaitOptions } from "./trackers/request/settings.js";
export type { RequestState, RequestStatus, StageStatus } from "./trackers/request/status.js";
export { RequestWaitTracker } from "./trackers/request-wait.js";
export type { DedupeOutcome, RunContext, RunOnceOptions } from "./trackers/run-once.js";
export {
  type AcquireOptions,
  Mutex,
  type MutexOptions,
  type Permit,
  type PermitContext,
  type PermitHolder,
  type PermitWaiter,
  Semaphore,
  type SemaphoreOptions,
  type SemaphoreStatus,
} from "./trackers/semaphore.js";
export { RequestStatsAccumulator, type Stats, type StatsOptions } from "./trackers/stats.js";
