package account

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"iwx/lib/fault"
	"iwx/lib/site"
)

// lookMost is how many homes one stat(1) is given: well below what arguments may
// come to, execve(2).
const lookMost = 500

// HomeFault is what is wrong with a home.
type HomeFault struct {
	What  string // in a sentence
	Stays bool   // Make does not repair it
}

// Differ reports what is wrong with the homes of sites, by domain; of one that is as
// it should be, nothing. A process of its own looks, stat(1), which can be ended
// where the storage does not answer; it follows no link.
func (h Homes) Differ(ctx context.Context, sites []*site.Site) (map[string]HomeFault, error) {
	faults := map[string]HomeFault{}
	for part := range slices.Chunk(sites, lookMost) {
		found, err := h.stat(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, s := range part {
			switch is, there := found[filepath.Join(h.Root, s.Home)]; {
			case !there:
				faults[s.Domain] = HomeFault{What: "its home is missing: " + s.Home}
			case is.mode&fileType != directory:
				faults[s.Domain] = HomeFault{"its home is no directory: " + s.Home, true}
			case is.owner != fmt.Sprint(s.UID):
				faults[s.Domain] = HomeFault{fmt.Sprintf("its home belongs to id %s instead of %d: %s", is.owner, s.UID, s.Home), true}
			}
		}
	}
	return faults, nil
}

// The type of a file in its mode, inode(7).
const (
	fileType  = 0o170000
	directory = 0o040000
)

// status is what stat(1) tells of a file.
type status struct {
	mode  uint64
	owner string // its id
}

// stat looks at the homes, by path; those that are missing are left out.
func (h Homes) stat(ctx context.Context, sites []*site.Site) (map[string]status, error) {
	args := []string{"--format=%f %u %n", "--"}
	for _, s := range sites {
		args = append(args, filepath.Join(h.Root, s.Home))
	}
	out, err := exec.CommandContext(ctx, "stat", args...).Output()
	// 1 is that one of them is missing.
	if exit := (*exec.ExitError)(nil); ctx.Err() != nil || err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return nil, fault.New(fault.Failed, "cannot check the homes: %w", errors.Join(ctx.Err(), err))
	}
	found := map[string]status{}
	for line := range strings.Lines(string(out)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if mode, err := strconv.ParseUint(f[0], 16, 32); err == nil && len(f) == 3 {
			found[f[2]] = status{mode, f[1]}
		}
	}
	return found, nil
}
