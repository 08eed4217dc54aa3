package kafka

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// An owner is what a member of the relay's group says of itself to the others.
type owner struct {
	// Process is unlike that of any other process.
	Process string `json:"process"`
	// Words name the process for people.
	Words string `json:"words,omitempty"`
	// Generation is the newest one in which this member had the tap; 0 is none.
	Generation int32 `json:"generation,omitempty"`

	// What tells whether the process is still there, for others on the same machine:
	// the boot and the process namespace in which PID means it, and when it began.
	Boot  string `json:"boot,omitempty"`
	Space string `json:"space,omitempty"`
	PID   int    `json:"pid,omitempty"`
	Began string `json:"began,omitempty"`
}

// thisProcess is the owner that this process is. name is unlike any other.
func thisProcess(name string) owner {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	o := owner{Process: name, Words: fmt.Sprintf("%d on %s", os.Getpid(), host), PID: os.Getpid()}
	o.Boot, o.Space = machine()
	o.Began, _ = beganAt(o.PID)
	return o
}

// String is for people.
func (o *owner) String() string {
	if o.Words == "" {
		return "another process"
	}
	return "process " + bridge.Printable(o.Words, 80)
}

// dead says that the process is known to be gone: it was on this machine, since the
// same boot and with the same numbers for processes, and its own is not there any
// more. What it cannot know it takes for alive; such a member is given up by the group
// after its session time-out.
func (o *owner) dead() bool {
	boot, space := machine()
	if o.Boot == "" || o.Space == "" || o.Began == "" || o.PID <= 0 || o.Boot != boot || o.Space != space {
		return false
	}
	began, known := beganAt(o.PID)
	return known && began != o.Began
}

// machine names the boot and the namespace of processes that this process is in;
// empty where the system does not tell, as only Linux does.
func machine() (boot, space string) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", ""
	}
	space, err = os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", ""
	}
	return strings.TrimSpace(string(b)), space
}

// beganAt says when a process began, in ticks since the boot; empty where there is
// none of that number, or only what is left of it. known is false where that cannot be
// told.
func beganAt(pid int) (ticks string, known bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if os.IsNotExist(err) {
		return "", true
	}
	// The name, in brackets, may hold anything; behind it come the state and 19 more
	// fields in front of the one that is wanted: proc_pid_stat(5).
	at := strings.LastIndexByte(string(stat), ')')
	if err != nil || at < 0 {
		return "", false
	}
	fields := strings.Fields(string(stat[at+1:]))
	switch {
	case len(fields) < 20:
		return "", false
	case fields[0] == "Z" || fields[0] == "X": // its connections are closed already
		return "", true
	}
	return fields[19], true
}

func (o *owner) text() []byte {
	b, err := json.Marshal(o)
	if err != nil { // it has texts and numbers only
		panic(err)
	}
	return b
}

// parseOwner reads what a member says; ok is false where it says nothing that can be
// read.
func parseOwner(text []byte) (o owner, ok bool) {
	err := json.Unmarshal(text, &o)
	return o, err == nil && o.Process != ""
}
