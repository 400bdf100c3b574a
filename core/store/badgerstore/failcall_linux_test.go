package badgerstore

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"waxwing/core/store/storetest"
)

// failCallVar tells a child which of its system calls fails, with EIO, and only once:
// its number, and which one of them, from 1 on.
const failCallVar = "WAXWING_FAIL_CALL"

func init() { inChild = failCall }

func failCall() {
	var call uintptr
	var nth int
	if n, _ := fmt.Sscan(os.Getenv(failCallVar), &call, &nth); n != 2 {
		return
	}
	fd, err := filterCall(call)
	if err != nil {
		fmt.Fprintln(os.Stderr, "filter:", err)
		os.Exit(storetest.NoFault)
	}
	go answerCalls(fd, nth)
}

// filterCall stops all threads of the process, those to come too, at a system call
// until somebody has answered for it. It returns the descriptor by which that is
// done, see seccomp_unotify(2).
func filterCall(call uintptr) (fd uintptr, err error) {
	// What the filter reads, struct seccomp_data, begins with the call's number.
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(call), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // both calls are of one thread
	defer runtime.UnlockOSThread()
	// Without this only root may have a filter.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return 0, errno
	}
	return fd, nil
}

// The kernel's struct seccomp_notif and struct seccomp_notif_resp.
type (
	callNotice struct {
		id         uint64
		pid, flags uint32
		_          [64]byte // number, architecture, address, arguments
	}
	callAnswer struct {
		id    uint64
		value int64
		err   int32
		flags uint32
	}
)

// answerCalls lets all calls go on but the nth, which fails.
func answerCalls(fd uintptr, nth int) {
	for n := 1; ; {
		var notice callNotice
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&notice))); errno != 0 {
			continue // a signal to this thread, or to the one that called
		}
		answer := callAnswer{id: notice.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if n == nth {
			answer = callAnswer{id: notice.id, err: -int32(unix.EIO)}
		}
		// It fails if a signal took the caller away: then the call comes again.
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&answer))); errno == 0 {
			n++
		}
	}
}
