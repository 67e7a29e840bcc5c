package lint

var (
	cronJobs   = []string{"CronJob"}
	jobs       = []string{"CronJob", "Job"}
	daemonSets = []string{"DaemonSet"}
	budgets    = []string{"PodDisruptionBudget"}
	scaled     = []string{"Deployment", "ReplicaSet", "StatefulSet"}
	servers    = []string{"DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"}
	pods       = []string{"CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "StatefulSet"}
)

// rules is the table of all rules, sorted by ID. An ID is never renamed or used again: it stands in people's annotations.
var rules = []Rule{
	{
		ID: "all-nodes-at-once", Kinds: daemonSets, object: allNodesAtOnce,
		Summary: "a DaemonSet's maxUnavailable of 100% replaces the pods of all nodes at once",
	},
	{
		ID: "autoscaled-replicas", Kinds: scaled, tree: autoscaledReplicas,
		Summary: "replicas is set on what an autoscaler in the tree scales",
	},
	{
		ID: "backoff-exceeds-deadline", Kinds: jobs, object: backoffExceedsDeadline,
		Summary: "a Job's deadline ends before the waits between the retries that its backoffLimit allows",
	},
	{
		ID: "budget-blocks-drains", Kinds: budgets, object: budgetBlocks, tree: budgetBlocksAll,
		Summary: "a PodDisruptionBudget never lets a pod be evicted",
	},
	{
		ID: "budget-without-scale", Kinds: budgets, tree: budgetWithoutScale,
		Summary: "a PodDisruptionBudget reckons with pods of a Job, CronJob or DaemonSet, and so allows no eviction",
	},
	{
		ID: "deadline-per-pod", Kinds: jobs, object: deadlinePerPod,
		Summary: "activeDeadlineSeconds stands in a Job's pod template, where it is for each attempt",
	},
	{
		ID: "failed-history-zero", Kinds: cronJobs, object: failedHistoryZero,
		Summary: "failedJobsHistoryLimit 0 deletes a failed Job with its logs at once",
	},
	{
		ID: "forbid-without-starting-deadline", Kinds: cronJobs, object: forbidWithoutStartingDeadline,
		Summary: "under Forbid without startingDeadlineSeconds, a run starts however late",
	},
	{
		ID: "grace-period-zero", Kinds: pods, object: gracePeriodZero,
		Summary: "terminationGracePeriodSeconds 0 lets a pod's replacement start beside it",
	},
	{
		ID: "host-port-surge", Kinds: daemonSets, object: hostPortSurge,
		Summary: "a DaemonSet with a port of the node surges, and its rollout never ends",
	},
	{
		ID: "job-without-backoff-limit", Kinds: jobs, object: jobWithoutBackoffLimit,
		Summary: "a Job without backoffLimit is tried 6 times more",
	},
	{
		ID: "job-without-deadline", Kinds: jobs, object: jobWithoutDeadline,
		Summary: "a Job without activeDeadlineSeconds can hang for ever",
	},
	{
		ID: "liveness-equals-readiness", Kinds: pods, object: livenessEqualsReadiness,
		Summary: "a liveness probe restarts what the same readiness probe would only take out of service",
	},
	{
		ID: "on-failure-backoff-zero", Kinds: jobs, object: onFailureBackoffZero,
		Summary: "restartPolicy OnFailure begins the work again although backoffLimit is 0",
	},
	{
		ID: "overlapping-runs", Kinds: cronJobs, object: overlappingRuns,
		Summary: "a CronJob's runs may work longer than the time to the next, and nothing says that they may overlap",
	},
	{
		ID: "overlapping-selectors", Kinds: servers, tree: overlappingSelectors,
		Summary: "a workload's selector also selects another's pods",
	},
	{
		ID: "partition-above-replicas", Kinds: []string{"StatefulSet"}, object: partitionAboveReplicas,
		Summary: "a StatefulSet's partition lets no pod be updated",
	},
	{
		ID: "pod-failure-rule-unreachable", Kinds: jobs, object: podFailureRuleUnreachable,
		Summary: "a rule of a podFailurePolicy stands behind one that matches all that it does",
	},
	{
		ID: "rolling-update-one-node", Kinds: []string{"Deployment"}, tree: rollingUpdateOneNode,
		Summary: "a Deployment rolls although its volume can be used on one node at a time",
	},
	{
		ID: "schedule-below-minute", Kinds: cronJobs, object: scheduleBelowMinute,
		Summary: "an @every schedule of less than a minute, which no CronJob can keep",
	},
	{
		ID: "schedule-day-or-weekday", Kinds: cronJobs, object: scheduleDayOrWeekday,
		Summary: "a schedule with a day of month and a day of week fires when either matches",
	},
	{
		ID: "schedule-daylight-saving", Kinds: cronJobs, object: scheduleDaylightSaving,
		Summary: "a schedule's hour is skipped or comes twice when the clocks change",
	},
	{
		ID: "schedule-every-minute", Kinds: cronJobs, object: scheduleEveryMinute,
		Summary: "a schedule such as * 3 * * * fires each minute of an hour",
	},
	{
		ID: "schedule-never-fires", Kinds: cronJobs, object: scheduleNeverFires,
		Summary: "a schedule names a day that never comes",
	},
	{
		ID: "schedule-uneven-step", Kinds: cronJobs, object: scheduleUnevenStep,
		Summary: "a schedule's step does not divide the hour or the day, so its runs are not evenly apart",
	},
	{
		ID: "service-selects-job-pods", Kinds: []string{"Service"}, tree: serviceSelectsJobPods,
		Summary: "a Service sends traffic to the pods of a Job beside those of its server",
	},
	{
		ID: "stale-latest", Kinds: pods, object: staleLatest,
		Summary: "an image without a version and a pull policy that keeps what a node first pulled",
	},
	{
		ID: "starting-deadline-too-short", Kinds: cronJobs, object: startingDeadlineTooShort,
		Summary: "startingDeadlineSeconds below 10 drops runs whenever the controller is late",
	},
	{
		ID: "statefulset-service", Kinds: []string{"StatefulSet"}, tree: statefulSetService,
		Summary: "a StatefulSet's serviceName names no headless Service of the tree",
	},
	{
		ID: "suspended-without-starting-deadline", Kinds: cronJobs, object: suspendedWithoutStartingDeadline,
		Summary: "a suspended CronJob without startingDeadlineSeconds starts a Job the moment it is resumed",
	},
	{
		ID: "ttl-on-dependency", Kinds: []string{"Job"}, tree: ttlOnDependency,
		Summary: "a Job that others depend on deletes itself",
	},
	{
		ID: "ttl-zero", Kinds: jobs, object: ttlZero,
		Summary: "ttlSecondsAfterFinished 0 deletes a Job with its logs the moment it ends",
	},
	{
		ID: unknownIgnore, Kinds: nil,
		Summary: "kilter.dev/lint-ignore names a rule that does not exist",
	},
}
