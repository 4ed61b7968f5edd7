// Package load asks a web server over and over, at a fixed rate whatever becomes
// of the answers (an open loop), each time on a connection of its own, and keeps
// what came of every request. It is the client of the balancing tests and
// benchmarks: what it cannot reach, a visitor could not.
package load

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Load is who is asked, and how often.
type Load struct {
	Address string        // host:port
	Rate    int           // requests a second
	Timeout time.Duration // for one request, the connection included: then it is lost
}

// Answer is what came of one request.
type Answer struct {
	At     time.Time     `json:"at"`               // when it was sent
	Took   time.Duration `json:"took"`             // until the answer was read, or until it was lost
	Server string        `json:"server,omitempty"` // the first word of the answer's body
	Lost   string        `json:"lost,omitempty"`   // why there is none
}

// Run asks until ctx is done, waits for the answers that are under way, and
// returns all, in the order in which they were sent.
func (l *Load) Run(ctx context.Context) Answers {
	var (
		mu   sync.Mutex
		list Answers
		busy sync.WaitGroup
	)
	tick := time.NewTicker(time.Second / time.Duration(l.Rate))
	defer tick.Stop()
	for ctx.Err() == nil {
		busy.Go(func() {
			a := l.ask()
			mu.Lock()
			list = append(list, a)
			mu.Unlock()
		})
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	busy.Wait()
	slices.SortFunc(list, func(a, b Answer) int { return a.At.Compare(b.At) })
	return list
}

// ask sends one request.
func (l *Load) ask() Answer {
	a := Answer{At: time.Now()}
	server, err := l.get(a.At.Add(l.Timeout))
	a.Took = time.Since(a.At)
	if err != nil {
		a.Lost = err.Error()
	}
	a.Server = server
	return a
}

func (l *Load) get(deadline time.Time) (server string, err error) {
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.Dial("tcp", l.Address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answered %s", answer.Status)
	}
	word, _, _ := strings.Cut(strings.TrimSpace(string(body)), " ")
	return word, nil
}

// Answers are those of one run.
type Answers []Answer

// Between returns those that were sent in the time from one moment up to another.
func (all Answers) Between(from, to time.Time) Answers {
	return slices.Collect(func(yield func(Answer) bool) {
		for _, a := range all {
			if !a.At.Before(from) && a.At.Before(to) && !yield(a) {
				return
			}
		}
	})
}

// Lost returns those that got none.
func (all Answers) Lost() (list Answers) {
	for _, a := range all {
		if a.Lost != "" {
			list = append(list, a)
		}
	}
	return list
}

// Slow returns those that came, and took longer than a time.
func (all Answers) Slow(than time.Duration) (list Answers) {
	for _, a := range all {
		if a.Lost == "" && a.Took > than {
			list = append(list, a)
		}
	}
	return list
}

// Servers counts the answers of each server.
func (all Answers) Servers() map[string]int {
	count := map[string]int{}
	for _, a := range all {
		if a.Lost == "" {
			count[a.Server]++
		}
	}
	return count
}

// Quantile returns the time that a share of the answers, 0 to 1, came within.
func (all Answers) Quantile(share float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	times := make([]time.Duration, len(all))
	for i, a := range all {
		times[i] = a.Took
	}
	slices.Sort(times)
	return times[min(len(times)-1, int(share*float64(len(times))))]
}

// Reasons counts why answers were lost, most frequent first: "12 × i/o timeout".
func (all Answers) Reasons() (list []string) {
	count := map[string]int{}
	for _, a := range all.Lost() {
		parts := strings.Split(a.Lost, ": ")
		count[parts[len(parts)-1]]++
	}
	reasons := make([]string, 0, len(count))
	for reason := range count {
		reasons = append(reasons, reason)
	}
	slices.SortFunc(reasons, func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	for _, reason := range reasons {
		list = append(list, fmt.Sprintf("%d × %s", count[reason], reason))
	}
	return list
}
