package state_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"iwx/lib/fault"
	"iwx/lib/state"
)

// mountKey tells the test binary that it is in a mount namespace of its own.
const mountKey = "IWX_STATE_MOUNTS"

// ownMounts reports whether the test may mount: in a mount namespace of its
// own, so that nothing is left behind. Outside of one it runs itself again in
// one, and reports what came of it. Without root a user namespace serves, if
// the kernel gives one.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(mountKey) != "" {
		// What is mounted here is not to be seen outside.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mountKey+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.Process == nil {
		cannot(t, "no mount namespace can be had: %v", err)
		return false
	}
	if err != nil || !strings.Contains(string(out), "PASS: "+t.Name()) {
		t.Errorf("in a mount namespace: %v\n%s", err, out)
	}
	return false
}

// cannot skips what this machine has no means for. In CI it must have them.
func cannot(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI has to run this: "+format, args...)
	}
	t.Skipf("NOT RUN, and so nothing is known of it here: "+format, args...)
}

// TestDiskFull fills the disk to the last byte: an entry is refused with a
// clear error and is not in the log, and when there is room all goes on.
func TestDiskFull(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, 0) }) // the namespace goes with it
	s := managerAt(t, filepath.Join(dir, "state.db"))
	if _, err := s.Append(t.Context(), draft("before")); err != nil {
		t.Fatal(err)
	}
	fill := filepath.Join(dir, "fill")
	for round := range 5 {
		fillUp(t, fill)
		before := len(verify(t, s))
		_, err := s.Append(t.Context(), draft(strings.Repeat("x", 64<<10)))
		wantFault(t, err, fault.Failed, "the disk that holds "+s.Path()+" is full", "df "+dir)
		if n := len(verify(t, s)); n != before {
			t.Errorf("round %d: %d entries on a full disk, %d before", round, n, before)
		}
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Append(t.Context(), draft("there is room again")); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	fillUp(t, fill)
	if s, err := state.Open(t.Context(), filepath.Join(dir, "state.db")); err == nil {
		_, err = s.Append(t.Context(), draft(strings.Repeat("x", 64<<10)))
		wantFault(t, err, fault.Failed, "the disk that holds "+s.Path()+" is full", "df "+dir)
		s.Close()
	} else {
		wantFault(t, err, fault.Failed, " is full", "df "+dir)
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if n := len(verify(t, open(t, filepath.Join(dir, "state.db")))); n != 6 {
		t.Errorf("%d entries, want 6", n)
	}
}

// fillUp writes a file until the disk is full.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4096, 1} {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
}

// extShutdown is EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32) in fs/ext4/ext4.h,
// and its flag that keeps even the journal from being written.
const (
	extShutdown   = 0x8004587d
	extNoLogFlush = 2
)

// TestPowerCut cuts the power of the disk while a process appends: what was
// not synced is lost, and nothing that was acknowledged may be.
func TestPowerCut(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 1
	}
	if os.Getuid() != 0 {
		cannot(t, "a power cut needs root, to mount a file system of its own")
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			cannot(t, "a power cut needs %s (Debian: apt-get install e2fsprogs mount)", tool)
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		cannot(t, "a power cut needs a loop device: %v", err)
	}
	if !ownMounts(t) {
		return
	}
	disk := newDisk(t)
	disk.mount()
	managerAt(t, disk.state).Close()
	disk.unmount()
	for round := range rounds {
		disk.round(round)
	}
	t.Logf("%d acknowledged entries survived %d power cuts", len(disk.acks), rounds)
}

// disk is a file system in a file, whose power can be cut.
type disk struct {
	t                 *testing.T
	image, dir, state string
	acks              []ack // of all rounds
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, image: filepath.Join(t.TempDir(), "disk.img"), dir: t.TempDir()}
	d.state = filepath.Join(d.dir, "state.db")
	f, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(32 << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	d.run("mkfs.ext4", "-q", "-F", d.image)
	return d
}

func (d *disk) run(name string, args ...string) {
	d.t.Helper()
	if out, err := exec.CommandContext(d.t.Context(), name, args...).CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

func (d *disk) mount()   { d.t.Helper(); d.run("mount", "-o", "loop", d.image, d.dir) }
func (d *disk) unmount() { d.t.Helper(); d.run("umount", d.dir) }

// cut cuts the power.
func (d *disk) cut() {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	flag := uint32(extNoLogFlush)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), extShutdown, uintptr(unsafe.Pointer(&flag))); errno != 0 {
		d.t.Fatalf("EXT4_IOC_SHUTDOWN: %v", errno)
	}
}

// round lets a process append, cuts the power, brings it back and looks for
// everything that has ever been acknowledged.
//
// What is told after the cut does not count: a kernel whose journal is aborted
// under a sync that is under way can call it a success, which a machine without
// power does not.
func (d *disk) round(round int) {
	d.t.Helper()
	d.mount()
	w := startWriter(d.t, d.state, fmt.Sprintf("round%d", round), all)
	w.read(20 + 17*round)
	d.acks = append(d.acks, w.acks...)
	d.cut()
	w.kill()
	d.unmount()
	if len(w.acks) < 20 {
		d.t.Fatalf("round %d: only %d entries were acknowledged: %s", round, len(w.acks), w.failure)
	}

	d.mount()
	s := open(d.t, d.state)
	holds(d.t, verify(d.t, s), d.acks)
	if err := s.Close(); err != nil {
		d.t.Error(err)
	}
	d.unmount()
}

// TestReadOnlyDisk: a file system that is mounted read-only is told apart from
// a damaged file.
func TestReadOnlyDisk(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	path := closedManager(t)
	dir := filepath.Dir(path)
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	// In a user namespace, flags that the mount came with have to be kept.
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	keep := uintptr(fs.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_RELATIME)
	if err := unix.Mount("", dir, "", keep|unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err := state.Open(t.Context(), path)
	wantFault(t, err, fault.Failed, path+": read-only file system", "")
}
