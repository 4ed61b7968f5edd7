package shim

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"iwx/lib/attempt/process"
	"iwx/lib/attempt/record"
)

// threadVariable makes this process one whose main thread ends while another goes on.
const threadVariable = "IWX_SHIM_TEST_THREAD"

func init() {
	if os.Getenv(threadVariable) == "" {
		return
	}
	runtime.LockOSThread() // an init function runs on the main thread
	other := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(other)
		for {
			unix.Pause()
		}
	}()
	<-other
	unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0) // of the thread
}

// zombieOf starts a program, and waits until its main thread has ended.
func zombieOf(t *testing.T, cmd *exec.Cmd) process.Process {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	deadline := time.Now().Add(30 * time.Second)
	for {
		p, err := process.Get(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if p.State == 'Z' {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is in state %c", p.State)
		}
		runtime.Gosched()
	}
}

// TestHungText: a process that has ended and was not waited for does not hang; one
// of which a thread is left may.
func TestHungText(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	threads := exec.Command(self)
	threads.Env = append(os.Environ(), threadVariable+"=1", "GOMAXPROCS=4")
	zombie, another, half := zombieOf(t, exec.Command("true")), zombieOf(t, exec.Command("true")), zombieOf(t, threads)
	hung := process.Process{PID: 7, Name: "touch", State: 'D'}
	for _, tt := range []struct {
		name  string
		found []process.Process
		want  string
	}{
		{"nothing", nil, `^$`},
		{"a zombie", []process.Process{zombie}, `^$`},
		{"zombies", []process.Process{zombie, another}, `^$`},
		{"one that is gone", []process.Process{{PID: 1 << 30, Name: "gone", State: 'X'}}, `^$`},
		{"a thread", []process.Process{half}, `^pid \d+ \S+ cannot be killed, state [RS]$`},
		{"a thread, and a zombie", []process.Process{zombie, half}, `^pid \d+ \S+ cannot be killed, state [RS]$`},
		{"one that hangs, and a zombie", []process.Process{hung, zombie}, `^pid 7 touch cannot be killed, state D$`},
		{"two", []process.Process{hung, half}, `^2 processes cannot be killed: pid 7 touch \(state D\), pid \d+ \S+ \(state [RS]\)$`},
	} {
		if got := hungText(tt.found); !regexp.MustCompile(tt.want).MatchString(got) {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// TestReportStays: while nothing is known of hung processes, the last report stays.
func TestReportStays(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/spec")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(record.PageSize); err != nil {
		t.Fatal(err)
	}
	w := &watch{attempt: &attempt{file: int(file.Fd()), spec: &record.Spec{}}}
	for _, tt := range []struct {
		found []process.Process
		want  string
	}{
		{nil, ""},
		{[]process.Process{{PID: 7, Name: "touch", State: 'D'}}, "pid 7 touch cannot be killed, state D"},
		{nil, "pid 7 touch cannot be killed, state D"},
		{[]process.Process{{PID: 1 << 30, Name: "ended", State: 'Z'}}, "pid 7 touch cannot be killed, state D"},
		{[]process.Process{{PID: 8, Name: "cp", State: 'D'}}, "pid 8 cp cannot be killed, state D"},
	} {
		w.report(tt.found)
		b := make([]byte, record.PageSize)
		if _, err := file.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		page, err := record.DecodePage(b)
		got := ""
		if page.Hung != nil {
			got = page.Hung.Text
		}
		if got != tt.want {
			t.Errorf("after %v: %q, want %q (%v)", tt.found, got, tt.want, err)
		}
	}
}
