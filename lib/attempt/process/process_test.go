package process

import (
	"os"
	"os/exec"
	"reflect"
	"slices"
	"syscall"
	"testing"

	"iwx/lib/testenv"
)

func TestParse(t *testing.T) {
	const rest = " S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 100 200"
	want := Process{PID: 5, State: 'S', Parent: 7, Session: 9, StartTicks: 12345}
	for _, name := range []string{"sh", "a b", "a) R 1 (b", ")"} {
		want.Name = name
		if got, err := parse(5, "5 ("+name+")"+rest); got != want || err != nil {
			t.Errorf("name %q: %+v, %v", name, got, err)
		}
	}
	for _, bad := range []string{"", "5 (sh", "5 (sh) S 7 8", "5 (sh)" + " S x 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345"} {
		if got, err := parse(5, bad); err == nil {
			t.Errorf("%q parses as %+v", bad, got)
		}
	}
}

// TestChildren: children that run are listed, the newest first; one that has ended is not,
// nor is the child of a child.
func TestChildren(t *testing.T) {
	var want []int
	for _, command := range []*exec.Cmd{exec.Command("true"), exec.Command("sh", "-c", "sleep 1000 & echo; wait"), exec.Command("sleep", "1000")} {
		out, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			grandchildren, _ := Children(command.Process.Pid)
			for _, p := range grandchildren {
				_ = syscall.Kill(p.PID, syscall.SIGKILL)
			}
			_ = command.Process.Kill()
			_ = command.Wait()
		}()
		if command.Args[0] != "sleep" {
			_, _ = out.Read(make([]byte, 1)) // until it has ended, or started its child
		}
		if command.Args[0] != "true" {
			want = append([]int{command.Process.Pid}, want...)
		}
	}
	var got []int
	testenv.Until(t, "true has ended", func() bool {
		list, err := Children(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, p := range list {
			got = append(got, p.PID)
		}
		return len(got) <= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("children %v, want %v", got, want)
	}
}

func TestDescendants(t *testing.T) {
	table := []Process{
		{PID: 1}, {PID: 2, Parent: 1}, {PID: 3, Parent: 2}, {PID: 4, Parent: 3}, {PID: 5, Parent: 1},
		{PID: 8, Parent: 9}, {PID: 9, Parent: 8}, // a ring
	}
	tests := []struct {
		root int
		want []int
	}{
		{1, []int{2, 3, 4, 5}}, {2, []int{3, 4}}, {5, nil}, {77, nil}, {8, []int{8, 9}},
	}
	for _, tt := range tests {
		var got []int
		for _, p := range Descendants(table, tt.root) {
			got = append(got, p.PID)
		}
		slices.Sort(got)
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("descendants of %d: %v, want %v", tt.root, got, tt.want)
		}
	}
}

func TestThisMachine(t *testing.T) {
	child := exec.Command("sleep", "1000")
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { child.Process.Kill(); child.Wait() }()
	table, err := List()
	if err != nil {
		t.Fatal(err)
	}
	pid := child.Process.Pid
	found := Descendants(table, os.Getpid())
	i := slices.IndexFunc(found, func(p Process) bool { return p.PID == pid })
	if i < 0 {
		t.Fatalf("child %d is not among %v", pid, found)
	}
	if p, err := Get(pid); p != found[i] || err != nil || p.Session != pid || p.Parent != os.Getpid() || p.StartTicks == 0 {
		t.Errorf("Get: %+v, %v; List: %+v", p, err, found[i])
	}
	if args, err := Args(); !slices.Equal(args, os.Args) || err != nil {
		t.Errorf("Args: %q, %v; want %q", args, err, os.Args)
	}
}
