// Command iwx-attempt runs one command of the queue to its end and writes down
// what came of it. Daemons start it; it is of no use by hand. See lib/attempt.

// Looking up the processor quota of the control group takes longer than many
// commands, for a program that sleeps.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"syscall"
	"time"

	"iwx/lib/attempt/shim"
)

func main() { syscall.Exit(shim.Main(time.Now)) }
