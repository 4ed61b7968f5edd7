// Command lab runs iwx on whole Debian servers: user-mode Linux kernels in a
// network namespace, with systemd, NFS and power cuts, on one machine, as root.
//
// It builds the disk image when there is none that fits (see [Recipe]), boots
// the servers as the scripts ask for them (see [Server]), runs testscripts/lab/*.txtar
// (see commands in [Commands]), and switches everything off. A failed script
// leaves consoles, journals and the state of iwx in a folder that is named.
//
// It is a test driver: nothing of it is installed, and no package of iwx
// imports it. user-mode Linux is described in Documentation/virt/uml of the kernel.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"iwx/testscripts/load"
)

// options are the flags.
type options struct {
	name    string
	run     string
	logs    string
	scripts string
	dist    string
	limit   time.Duration
	jobs    int
	keep    bool
	shell   bool
	verbose bool
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "lab:", err)
		}
		os.Exit(1)
	}
}

// parse reads the command line.
func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("lab", flag.ContinueOnError)
	f.StringVar(&o.name, "name", "lab", "`name` of this lab: several run side by side under names of their own")
	f.StringVar(&o.run, "run", "", "run only the scripts whose name matches this `regexp`")
	f.StringVar(&o.logs, "logs", "", "`directory` for consoles and journals of failed scripts (default /var/tmp/iwx-lab-NAME/failed)")
	f.StringVar(&o.scripts, "scripts", "testscripts/lab", "`directory` of the scripts")
	f.StringVar(&o.dist, "dist", "dist", "`directory` with the Debian packages under test")
	f.DurationVar(&o.limit, "limit", 2*time.Hour, "end the whole run of scripts after this `time`")
	f.IntVar(&o.jobs, "jobs", 1, "run this `number` of scripts at a time, each with servers of its own")
	f.BoolVar(&o.keep, "keep", false, "after a failed script, leave the servers running and wait for an interrupt")
	f.BoolVar(&o.shell, "shell", false, "set up a cluster of manager, web1 and web2 and leave a person in it")
	f.BoolVar(&o.verbose, "v", false, "print every command of the scripts")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%s: no arguments are taken; to run one script: -run NAME", f.Arg(0))
	}
	if !regexp.MustCompile(`^[a-z0-9]{1,8}$`).MatchString(o.name) {
		return o, fmt.Errorf("-name %s: 1 to 8 small letters and digits are wanted", o.name)
	}
	if _, err := regexp.Compile(o.run); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	if o.jobs < 1 || o.jobs > 8 {
		return o, fmt.Errorf("-jobs %d: 1 to 8 are wanted", o.jobs)
	}
	if o.keep {
		o.jobs = 1 // nothing else is to run while a person looks
	}
	return o, nil
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "load" { // the client of the command load, see load.go
		return load.Command(context.Background(), args[1:], os.Stdout)
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var scripts []string
	if !o.shell {
		if scripts, err = Scripts(o.scripts, regexp.MustCompile(o.run)); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, o.limit)
		defer cancel()
		ctx = limited
	}
	l, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer l.Close()
	if o.shell {
		return l.Shell(ctx)
	}
	defer l.reportFigures()
	return Run(ctx, l, scripts)
}
