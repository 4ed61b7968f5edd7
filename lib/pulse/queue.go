package pulse

import (
	"cmp"
	"slices"
)

// When a service is stalled: connections waited at queuedLooks looks in a row, and
// between the last and one more, nothing was accepted. One that is busy accepts in
// between, however long its queue is, and is then left alone for restLooks: to see
// which connections wait, the kernel goes through all that the server has, which
// takes milliseconds.
const (
	queuedLooks = 2
	restLooks   = 4
)

// queues are those of connections that wait to be accepted, by port: empty ones
// are not in it.
type queues map[uint16]*queue

// queue is what the looks so far saw of one.
type queue struct {
	looks   int      // in a row at which it was not empty
	waiting []uint64 // the connections at the last look, as sockets.waiting tells them; nil: it did not tell
	stalled bool     // nothing was accepted between the last two
	rest    int      // for so many looks it is not to tell
}

// look takes at which ports connections wait, and has each tell which. That is
// asked only where it may matter.
func (q *queues) look(queued map[uint16]bool, each func(found func(port uint16, cookie uint64)) error) error {
	is, asked := queues{}, map[uint16][]uint64{}
	for port, any := range queued {
		if !any {
			continue
		}
		is[port] = cmp.Or((*q)[port], &queue{})
		if is[port].due() {
			asked[port] = []uint64{}
		}
	}
	*q = is
	if len(asked) == 0 {
		return nil
	}
	err := each(func(port uint16, cookie uint64) {
		if list := asked[port]; list != nil {
			asked[port] = append(list, cookie)
		}
	})
	if err != nil {
		return err
	}
	for port, waiting := range asked {
		is[port].compare(waiting)
	}
	return nil
}

// due notes that the queue is not empty at one more look, and reports whether it
// is to tell which connections wait.
func (q *queue) due() bool {
	q.looks++
	if q.rest > 0 {
		q.rest--
		return false
	}
	return q.looks >= queuedLooks
}

// compare takes the connections that wait. That one of those before has gone is
// taken for its having been accepted, though its client may have given up.
func (q *queue) compare(waiting []uint64) {
	slices.Sort(waiting)
	known := len(q.waiting) > 0
	accepted := slices.ContainsFunc(q.waiting, func(c uint64) bool {
		_, still := slices.BinarySearch(waiting, c)
		return !still
	})
	q.stalled, q.waiting = known && !accepted, waiting
	if accepted {
		q.waiting, q.rest = nil, restLooks
	}
}

// stalled returns the ports whose services accept nothing.
func (q queues) stalled() (ports []uint16) {
	for port, is := range q {
		if is.stalled {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}
