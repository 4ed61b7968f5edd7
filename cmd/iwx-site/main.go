// Iwx-site is site accounts, iwx-site(8).
package main

import (
	"os"

	"iwx/lib/cli"
	"iwx/lib/tool/sitetool"
)

func main() { os.Exit(cli.Main(sitetool.Tool(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
