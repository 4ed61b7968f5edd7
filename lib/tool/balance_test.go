package tool_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"iwx/lib/control"
	"iwx/lib/haproxy"
	"iwx/lib/host"
	"iwx/lib/lb"
	"iwx/lib/testenv"
	"iwx/testscripts/load"
)

// balance runs iwx-lb daemon in the background, with its log in ROOT/lb.log. To
// end and signal it is ROOT/lb. What it has running when the script ends, and
// does not belong to it, is ended too.
func balance(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: balance ROOT")
	}
	root := ts.MkAbs(args[0])
	log, err := os.OpenFile(filepath.Join(root, "lb.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	defer log.Close()
	showLog(ts, log.Name())
	cmd := exec.Command("iwx-lb", "--root", root, "daemon")
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, log, log
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=/no-home", "TMPDIR=" + ts.Getenv("TMPDIR"), "TZ=UTC", "GORACE=" + raceOptions}
	ts.Check(cmd.Start())
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	running(ts)[filepath.Join(root, "lb")] = cmd
	ts.Defer(func() {
		cmd.Process.Kill()
		<-ended
		endProxy(ts, root)
	})
	until(ts, "iwx-lb daemon runs below "+root, func() bool {
		select {
		case <-ended:
			ts.Fatalf("iwx-lb daemon ended:\n%s", ts.ReadFile(filepath.Join(root, "lb.log")))
		default:
		}
		_, err := control.Status(context.Background(), host.At(root).Balance)
		return err == nil
	})
}

// endProxy ends the HAProxy that a balancer below root has left: one that has
// nothing to balance does not stay.
func endProxy(ts *testscript.TestScript, root string) {
	engine := haproxy.New(host.At(root))
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Wait())
	defer cancel()
	has, err := engine.Observe(ctx)
	if err == nil {
		err = engine.Apply(ctx, lb.Diff(lb.Table{}, has))
	}
	if err != nil {
		ts.Logf("haproxy below %s: %v", root, err)
	}
}

// sites is the key under which a script keeps its web servers, by address.
type sites struct{}

// site is a web server that tells its name.
type site struct {
	server *http.Server
	done   chan struct{}
}

func (s *site) close() {
	s.server.Close()
	<-s.done
}

// serve starts a web server that tells its name, or ends it: serve ADDR NAME,
// ! serve ADDR.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	all := ts.Value(sites{}).(map[string]*site)
	switch {
	case neg && len(args) == 1 && all[args[0]] != nil:
		all[args[0]].close()
		delete(all, args[0])
		return
	case neg || len(args) != 2:
		ts.Fatalf("usage: serve ADDR NAME, or ! serve ADDR of one that runs")
	}
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	s := &site{done: make(chan struct{}), server: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, args[1]+"\n")
	})}}
	go func() {
		s.server.Serve(l)
		close(s.done)
	}()
	all[args[0]] = s
	ts.Defer(s.close)
}

// visit is a program: it asks a web server so many times, each on a connection
// of its own, and prints who answered how often: visit ADDR [TIMES]. It fails
// when a request does.
func visit() {
	times := 1
	if len(os.Args) > 2 {
		times, _ = strconv.Atoi(os.Args[2])
	}
	counts := map[string]int{}
	client := http.Client{Timeout: testenv.Wait(), Transport: &http.Transport{DisableKeepAlives: true}}
	for range times {
		answer, err := client.Get("http://" + os.Args[1] + "/")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK {
			fmt.Fprintln(os.Stderr, answer.Status, err)
			os.Exit(1)
		}
		counts[string(body[:max(0, len(body)-1)])]++
	}
	fmt.Println(counts) // a map is printed in the order of its keys
	os.Exit(0)
}

// visitors is the key under which a script keeps the load that is under way.
type visitors struct{}

// crowd is a load, and how to end it.
type crowd struct {
	stop    context.CancelFunc
	answers chan load.Answers
}

// visits asks at a rate until "visited" ends it: visits ADDR RATE.
func visits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: visits ADDR RATE")
	}
	rate, err := strconv.Atoi(args[1])
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	c := ts.Value(visitors{}).(*crowd)
	c.stop, c.answers = cancel, make(chan load.Answers, 1)
	l := load.Load{Address: args[0], Rate: rate, Timeout: testenv.Wait()}
	go func() { c.answers <- l.Run(ctx) }()
	ts.Defer(cancel)
}

// visited ends the load, and fails when a request was lost.
func visited(ts *testscript.TestScript, neg bool, args []string) {
	c := ts.Value(visitors{}).(*crowd)
	if neg || len(args) != 0 || c.stop == nil {
		ts.Fatalf("usage: visited, after visits")
	}
	c.stop()
	answers := <-c.answers
	lost := 0
	for _, a := range answers {
		if a.Lost != "" {
			lost++
			ts.Logf("%v after %v: %s", a.At, a.Took, a.Lost)
		}
	}
	ts.Logf("%d requests, %d lost", len(answers), lost)
	if lost > 0 || len(answers) == 0 {
		ts.Fatalf("%d of %d requests were lost", lost, len(answers))
	}
}
