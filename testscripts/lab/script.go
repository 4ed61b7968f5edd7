package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptLimit is the time that one script has: several times what any needs on a
// quiet machine.
const scriptLimit = time.Hour

// result is what came of a script.
type result struct {
	name   string
	proves string // its first line
	took   time.Duration
	failed bool
	told   string // figures, a fact a line
	log    string
}

// round is the running of some scripts, a few at a time.
type round struct {
	scripts chan string
	mu      sync.Mutex // guards what follows, and the terminal
	ran     int
	failed  int
}

// Scripts returns the files of the directory's scripts whose name matches.
func Scripts(dir string, chosen *regexp.Regexp) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	scripts := slices.DeleteFunc(slices.Clone(all), func(file string) bool { return !chosen.MatchString(scriptName(file)) })
	if len(scripts) > 0 {
		return scripts, nil
	}
	var names []string
	for _, file := range all {
		names = append(names, scriptName(file))
	}
	return nil, fmt.Errorf("%s: no script matches %q; there are: %s", dir, chosen, strings.Join(names, ", "))
}

// Run runs the scripts, as many at a time as is asked for, and prints what each
// proves and whether it did. A failed one does not hold up the others: each
// begins with servers of its own.
func Run(ctx context.Context, first *Lab, scripts []string) error {
	begin := time.Now()
	r := &round{scripts: make(chan string, len(scripts))}
	for _, script := range scripts {
		r.scripts <- script
	}
	close(r.scripts)
	if err := r.work(ctx, first, min(first.jobs, len(scripts))); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("ended early: %w", context.Cause(ctx))
	}
	fmt.Printf("%d of %d passed in %s\n", r.ran-r.failed, r.ran, time.Since(begin).Round(time.Second))
	if r.failed > 0 {
		return fmt.Errorf("%d of %d scripts failed; what is known about them: %s", r.failed, r.ran, first.logDir())
	}
	return nil
}

// work runs the scripts in that many labs, of which the first is given.
func (r *round) work(ctx context.Context, first *Lab, labs int) error {
	var all sync.WaitGroup
	defer all.Wait()
	for n := 2; n <= labs; n++ {
		l, err := first.Beside(ctx, n)
		if err != nil {
			return err
		}
		all.Go(func() {
			defer l.Close()
			r.take(ctx, l)
		})
	}
	r.take(ctx, first)
	return nil
}

// take runs scripts in one lab until none is left.
func (r *round) take(ctx context.Context, l *Lab) {
	for script := range r.scripts {
		if ctx.Err() != nil {
			return
		}
		result := l.script(ctx, script)
		r.note(l, result)
		if !result.failed {
			continue
		}
		l.evidence(ctx, result)
		if l.keep {
			l.hold(ctx)
		}
	}
}

// note counts and prints a result.
func (r *round) note(l *Lab, result result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran++
	if result.failed {
		r.failed++
	}
	l.report(result)
}

func scriptName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txtar") }

// Proves returns the first line of a script, which says what it proves.
func Proves(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	proves, ok := strings.CutPrefix(line, "# ")
	if !ok {
		return "", fmt.Errorf("%s: the first line does not say what it proves: # ...", file)
	}
	return proves, nil
}

// script runs one of them.
func (l *Lab) script(ctx context.Context, file string) (r result) {
	r.name = scriptName(file)
	begin := time.Now()
	defer func() { r.took = time.Since(begin) }()
	var err error
	if r.proves, err = Proves(file); err != nil {
		r.failed, r.log = true, err.Error()
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, scriptLimit)
	defer cancel()
	work := filepath.Join(l.dir, "work")
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o700)); err != nil {
		r.failed, r.log = true, err.Error()
		return r
	}
	l.cutAll() // what the script before has left
	s := &session{lab: l, ctx: ctx}
	log := &verdict{verbose: l.verbose}
	log.do(func() {
		testscript.RunT(log, testscript.Params{
			Files: []string{file}, Cmds: s.Commands(), Setup: s.setup, WorkdirRoot: work,
			RequireUniqueNames: true, RequireExplicitExec: true, Deadline: begin.Add(scriptLimit),
		})
	})
	r.failed, r.told, r.log = log.failed, s.told.String(), log.text.String()
	return r
}

// setup gives a script the names of what is in the lab.
func (s *session) setup(env *testscript.Env) error {
	env.Setenv("PATH", s.lab.bin()+":"+os.Getenv("PATH"))
	env.Setenv("QUORUM", fmt.Sprint(clusterNet, quorum))
	env.Setenv("CLIENT", clusterNet+clientHost)
	env.Setenv("VIP", clusterNet+virtual)
	for _, h := range hosts() {
		env.Setenv(strings.ToUpper(h.name), h.address())
	}
	dist, err := filepath.Abs(s.lab.dist)
	env.Setenv("DIST", dist)
	return err
}

func (l *Lab) report(r result) {
	word := "ok  "
	if r.failed {
		word = "FAIL"
	}
	fmt.Printf("%s %5.0fs  %-14s %s\n", word, r.took.Seconds(), r.name, r.proves)
	for line := range strings.Lines(r.told) {
		fmt.Printf("%12s%s\n", "", strings.TrimSpace(line))
	}
	if r.failed || l.verbose {
		fmt.Println(strings.TrimRight(r.log, "\n"))
	}
}

// hold waits for an interrupt, so that a person can look at the servers.
func (l *Lab) hold(ctx context.Context) {
	fmt.Printf("the servers are left running; from another terminal: %s/on SERVER COMMAND...; to go on: interrupt\n", l.bin())
	<-ctx.Done()
}

// verdict is the testscript.T of one script.
type verdict struct {
	verbose bool
	failed  bool
	text    strings.Builder
}

// ended unwinds a script that is over.
type ended struct{}

// do runs f, until its end or that of the script.
func (v *verdict) do(f func()) {
	defer func() {
		if r := recover(); r != nil && r != (ended{}) {
			panic(r)
		}
	}()
	f()
}

func (v *verdict) Log(args ...any)                    { fmt.Fprintln(&v.text, args...) }
func (v *verdict) Verbose() bool                      { return v.verbose }
func (v *verdict) Parallel()                          {}
func (v *verdict) FailNow()                           { v.failed = true; panic(ended{}) }
func (v *verdict) Fatal(args ...any)                  { v.Log(args...); v.FailNow() }
func (v *verdict) Run(_ string, f func(testscript.T)) { v.do(func() { f(v) }) }

// Skip fails: nothing is skipped here.
func (v *verdict) Skip(args ...any) { v.Fatal(append([]any{"skipped:"}, args...)...) }
