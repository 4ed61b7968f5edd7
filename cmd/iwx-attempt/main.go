// Command iwx-attempt runs one command of the queue to its end and writes down
// what came of it. Daemons start it; it is of no use by hand. See lib/attempt.
package main

import (
	"syscall"
	"time"

	"iwx/lib/attempt/shim"
)

func main() { syscall.Exit(shim.Main(time.Now)) }
