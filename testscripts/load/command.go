package load

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"
)

// Command is the load as a program of its own, since a process is in one network
// namespace: it asks until it gets SIGTERM or the time is over, and writes the
// answers as JSON lines. The arguments are its flags and the address.
func Command(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	rate := flags.Int("rate", 300, "requests a `second`")
	timeout := flags.Duration("timeout", 3*time.Second, "for one request")
	length := flags.Duration("for", 24*time.Hour, "how long")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *rate < 1 {
		return fmt.Errorf("load: usage: load [-rate N] [-timeout D] [-for D] HOST:PORT")
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *length)
	defer cancel()
	l := &Load{Address: flags.Arg(0), Rate: *rate, Timeout: *timeout}
	out := json.NewEncoder(stdout)
	for _, a := range l.Run(ctx) {
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

// Read reads what Command has written.
func Read(r io.Reader) (list Answers, err error) {
	in := json.NewDecoder(r)
	for {
		var a Answer
		switch err := in.Decode(&a); err {
		case nil:
			list = append(list, a)
		case io.EOF:
			return list, nil
		default:
			return nil, fmt.Errorf("load: %w", err)
		}
	}
}
