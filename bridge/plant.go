package bridge

// A Bug names one deliberate mistake. Builds with the tag "planted" can make
// it, to show that the stories and suites catch it.
type Bug string

// The mistakes that can be planted, each a known way in which bridges fail.
const (
	BugRecallOff        Bug = "recall-off"         // after a crash, do not look at what landed
	BugFenceOff         Bug = "fence-off"          // let earlier sessions go on publishing
	BugEarlyAck         Bug = "early-ack"          // acknowledge at receipt
	BugSuppressInFlight Bug = "suppress-in-flight" // enter an ID at receipt
	BugManyInFlight     Bug = "many-in-flight"     // several of a key where survivors may be any subset
	BugLaneByID         Bug = "lane-by-id"         // choose the lane by ID instead of by key
	BugLanesApart       Bug = "lanes-apart"        // where the sink dictates lanes, send through one before the others have read back
	BugGoOn             Bug = "go-on"              // log a failed publish and go on
	BugToTheBack        Bug = "to-the-back"        // put a failed message behind later ones
	BugCommitBackwards  Bug = "commit-backwards"   // acknowledge an earlier position after a later one
	BugFirstOff         Bug = "first-off"          // of several shards take what comes, not first what is placed already
	BugSpanOff          Bug = "span-off"           // let the other shards go on while one waits
	BugHoldOff          Bug = "hold-off"           // do not ask whether the tap is still ours before sending
	BugParkUnconfirmed  Bug = "park-unconfirmed"   // acknowledge what is parked before that is durable
	BugRetryUnordered   Bug = "retry-unordered"    // let live messages go on while those parked before them are sent
	BugHoldForgotten    Bug = "hold-forgotten"     // after a start, do not look which keys are held
	BugLoopUnseen       Bug = "loop-unseen"        // send on what comes from the target
	BugUnorderedSend    Bug = "unordered-send"     // hand messages over in any order
	BugAgainIsNew       Bug = "again-is-new"       // a comparison counts what comes again once more
	BugAckUnjudged      Bug = "ack-unjudged"       // and acknowledges what it has not judged
	BugMarkUnasked      Bug = "mark-unasked"       // and takes everything for read that has not come
	BugFloorUnsure      Bug = "floor-unsure"       // and lets go of copies before the incumbent's reader has let go of theirs
	BugBodyUnseen       Bug = "body-unseen"        // and does not look at bodies
)
