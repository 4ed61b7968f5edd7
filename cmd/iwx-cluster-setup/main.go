// Command iwx-cluster-setup makes this server the manager of a cluster or a node
// of one, and tells what it is. See iwx-cluster-setup(8).
package main

import (
	"os"

	"iwx/lib/cli"
	"iwx/lib/tool/setuptool"
)

func main() { os.Exit(cli.Main(setuptool.Tool(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
