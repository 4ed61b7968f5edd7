package haproxy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// master is the socket of the master process, management guide, "Master CLI".
type master struct{ socket }

// status is what the master tells of itself and its workers.
type status struct {
	pid     int
	reloads int
	failed  bool  // the last reload did not come about, and the worker before goes on
	workers []int // process ids; the current one first, then those of before a reload
}

// status asks the master. The error is errNobody when there is none.
func (m master) status(ctx context.Context) (status, error) {
	answer, err := m.ask(ctx, "show proc")
	if err != nil {
		return status{}, err
	}
	return parseStatus(answer)
}

// parseStatus reads what "show proc" answers: a table that begins
//
//	#<PID>  <type>  <reloads>      <uptime>     <version>
//	1162    master  5 [failed: 0]  0d00h02m07s  2.6.12
func parseStatus(text string) (status, error) {
	var s status
	for line := range strings.Lines(text) {
		field := strings.Fields(line)
		if len(field) < 3 {
			continue
		}
		pid, err := strconv.Atoi(field[0])
		if err != nil {
			continue
		}
		switch field[1] {
		case "master":
			s.pid = pid
			s.reloads, _ = strconv.Atoi(field[2])
			s.failed = strings.Contains(line, "[failed: ") && !strings.Contains(line, "[failed: 0]")
		case "worker":
			s.workers = append(s.workers, pid)
		}
	}
	if s.pid <= 0 {
		return status{}, fmt.Errorf("haproxy's master answers %q", text)
	}
	return s, nil
}

// askWorker has a worker answer.
func (m master) askWorker(ctx context.Context, pid int, command string) (string, error) {
	return m.ask(ctx, fmt.Sprintf("@!%d %s", pid, command))
}

// endSessions has a worker close the connections to a server. One from before a
// reload has no proxies any more, only sessions, and is told of each.
func (m master) endSessions(ctx context.Context, pid int, s server) error {
	command := "shutdown sessions server " + s.path()
	answer, err := m.askWorker(ctx, pid, command)
	if err != nil || !strings.HasPrefix(strings.TrimSpace(answer), "Proxy is disabled") {
		return cmp.Or(err, refusal(command, answer, nil))
	}
	list, err := m.askWorker(ctx, pid, "show sess")
	if err != nil {
		return err
	}
	for _, id := range sessionsOf(list, s) {
		// One that has ended meanwhile is no failure.
		if _, err := m.askWorker(ctx, pid, "shutdown session "+id); err != nil {
			return err
		}
	}
	return nil
}

// sessionsOf finds a server's sessions in what "show sess" answers, lines as
//
//	0x5571: proto=tcpv4 src=192.0.2.1:40000 fe=PROXY be=PROXY srv=SERVER …
func sessionsOf(list string, s server) (ids []string) {
	for line := range strings.Lines(list) {
		id, rest, found := strings.Cut(line, ": ")
		words := strings.Fields(rest)
		if found && slices.Contains(words, "be="+proxyName(s.key)) && slices.Contains(words, "srv="+s.name) {
			ids = append(ids, id)
		}
	}
	return ids
}
