// Command iwx-queued is the daemon of every server of a cluster, see
// iwx-queued(8).
package main

import (
	"os"

	"iwx/lib/cli"
	"iwx/lib/tool/queuedtool"
)

func main() { os.Exit(cli.Main(queuedtool.Tool(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
