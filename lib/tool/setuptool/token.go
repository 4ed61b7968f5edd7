package setuptool

import (
	"errors"
	"io"
	"regexp"

	"iwx/lib/cli"
	"iwx/lib/fault"
	"iwx/lib/input"
	"iwx/lib/join"
)

// maxToken is far more than a token with its comments; the rest of a longer file
// need not be read to say that it is none.
const maxToken = 65 << 10

// tokenShape is what begins as a token does.
var tokenShape = regexp.MustCompile(`(?i)^\s*iwx[0-9]+-`)

// readToken reads the token from a file, or from standard input for "-".
func readToken(c *cli.Context, file string) (join.Token, error) {
	text, err := readAll(c, file)
	if err != nil {
		return join.Token{}, err
	}
	return join.ParseToken(text)
}

// readAll reads the text in a small file, or on standard input for "-".
func readAll(c *cli.Context, file string) (string, error) {
	in := c.Stdin
	if file != "-" {
		f, err := input.Open(c, file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxToken))
	return string(input.Text(text)), err
}

// askToken asks for the token on the terminal.
func askToken(c *cli.Context) (join.Token, error) {
	text, err := c.Secret("token")
	if err != nil {
		if fault.CodeOf(err) == fault.Usage {
			err = fault.Hint(errors.New("no token was given, and there is no terminal to ask on"),
				"from a file: iwx-cluster-setup node FILE\nfrom standard input: iwx-cluster-setup node -")
			err = fault.WithCode(err, fault.Usage)
		}
		return join.Token{}, err
	}
	return join.ParseToken(text)
}

// checkArgument refuses a token in place of a file's name: arguments are shown
// by ps(1) and kept in the shell's history.
func checkArgument(arg string) error {
	if !tokenShape.MatchString(arg) {
		return nil
	}
	id := "ID"
	if token, err := join.ParseToken(arg); err == nil {
		id = token.ID.String()
	}
	return fault.Hint(fault.New(fault.Usage, "a token was given as an argument: it is in the shell's history now, and every user here could see it"),
		"on the manager: iwx-node token revoke %s; iwx-node add NAME\nhere: iwx-cluster-setup node, which asks for it; or node FILE, or node -", id)
}
