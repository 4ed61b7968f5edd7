package join

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"iwx/lib/fault"
	"iwx/lib/pki"
)

func tokenAt(addr string) Token {
	t := Token{Manager: netip.MustParseAddrPort(addr)}
	for i := range t.Pin {
		t.Pin[i] = byte(i)
	}
	for i := range t.ID {
		t.ID[i] = 0xa0 + byte(i)
	}
	for i := range t.Secret {
		t.Secret[i] = 0xf0 + byte(i)
	}
	return t
}

// The text is a format: tokens made by one version are read by the next.
func TestTokenText(t *testing.T) {
	for addr, text := range map[string]string{
		"192.0.2.1:2480": "iwx1-0k0000g116r000820c20a1g7104gm2rc1m70y40h289h858p2wc1j6gv3gehw7x" +
			"0m6ha7955mtkz1wfjyftfbxqqz3wznyzwzqzfy9j392eg",
		"[2001:db8::1]:2480": "iwx1-20g023dr0000000000000000000gkc00041061050r3gg28a1c60t3gf208h44rm2mb1" +
			"e60s38dhr78y3yga38n3mjjtd9zgy7sf7x7nyvvzhyftzfyfvzqz8bt5510",
	} {
		token := tokenAt(addr)
		if got := token.Text(); got != text {
			t.Errorf("%s: text %s, want %s", addr, got, text)
		}
		if got, err := ParseToken(text); err != nil || got != token {
			t.Errorf("%s: %v, %v", addr, got, err)
		}
	}
}

func TestNewToken(t *testing.T) {
	manager := netip.MustParseAddrPort("[::ffff:192.0.2.1]:2480")
	a, b := NewToken(manager, pki.Pin{1}), NewToken(manager, pki.Pin{1})
	if a.ID == b.ID || a.Secret == b.Secret || a.Secret == (Secret{}) {
		t.Error("two tokens share id or secret")
	}
	if got, err := ParseToken(a.Text()); err != nil || got != a || !got.Manager.Addr().Is4() {
		t.Errorf("%v, %v", got, err)
	}
}

func TestTolerance(t *testing.T) {
	want := tokenAt("192.0.2.1:2480")
	text := want.Text()
	for name, input := range map[string]string{
		"newline":    text + "\n",
		"spaces":     "  " + text + "\t\r\n",
		"quotes":     `"` + text + "\"\n",
		"backquotes": "`" + text + "`",
		"curly":      "“" + text + "”",
		"comments":   "# for web2\n\n" + text + "\n # until noon\n",
		"upper case": strings.ToUpper(text),
		"wrapped":    text[:40] + "\n" + text[40:80] + "\n" + text[80:],
		"letter o":   text[:5] + strings.ReplaceAll(text[5:], "0", "O"),
		"letter l":   text[:5] + strings.ReplaceAll(text[5:], "1", "l"),
		"BOM":        "\ufeff" + text,
		"UTF-16":     "\xff\xfe" + strings.Join(strings.Split(text, ""), "\x00") + "\x00\r\x00\n\x00",
		"labelled":   "token: " + text,
		"quoted":     "> " + text + "\n",
		"twice":      text + "\n" + text,
		"in a mail":  "Hello,\r\n>> the token is:\r\n>>\r\n>> " + text[:70] + "\r\n>> " + text[70:] + "\r\n>> good until noon\r\n",
		"all output": "iwx-node: warning: x\n" + text + "\nthe token is valid for 1 h\nhint: on the server: iwx-cluster-setup node\n",
		"first line": text + "\nthe token is valid for 1 h\n",
		"bracketed":  "(" + text + ").",
		"key=value":  "TOKEN=" + text + ";",
	} {
		if got, err := ParseToken(input); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestTokenErrors(t *testing.T) {
	text, other := tokenAt("192.0.2.1:2480").Text(), tokenAt("192.0.2.2:2480").Text()
	swapped := []byte(text)
	swapped[30], swapped[31] = swapped[31], swapped[30]
	tests := []struct{ name, input, want string }{
		{"empty", "", "empty"},
		{"blank", " \n\t\n", "empty"},
		{"only comments", "# nothing\n", "empty"},
		{"prose", "hello", "not a join token"},
		{"a key", "AGE-SECRET-KEY-1QQQQ", "not a join token"},
		{"big", strings.Repeat("a", maxInput+1), "not a join token"},
		{"binary", "\x00\xff\xfe", "not a join token"},
		{"newer", "iwx2-" + text[5:], "version 2"},
		{"much newer", "iwx17-whatever it holds", "version 17"},
		{"bare prefix", "iwx1-", "cut short: 5 characters"},
		{"one digit", "iwx1-0", "cut short: 6 characters"},
		{"cut in half", text[:60], "cut short: 60 of 113 characters"},
		{"last one missing", text[:112], "cut short: 112 of 113 characters"},
		{"one more", text + "0", "1 characters too long"},
		{"swapped", string(swapped), "checksum"},
		{"foreign character", text[:20] + "!" + text[21:], "at place 21"},
		{"letter u", text[:20] + "u" + text[21:], "at place 21"},
		{"first digits", "iwx1-zz" + text[7:], "does not begin"},
		{"two tokens", text + "\n" + other, "more than one token"},
		{"two in prose", "old: " + text + " new: " + other + ".", "more than one token"},
		{"cut in prose", "token: " + text[:60], "cut short: 60 of 113 characters"},
		{"one more in prose", "token: " + text + "0", "too long"},
		{"token and a newer", text + " iwx2-" + text[5:], "more than one token"},
	}
	for _, tt := range tests {
		_, err := ParseToken(tt.input)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want …%s…", tt.name, err, tt.want)
		}
		if fault.CodeOf(err) != fault.Usage || fault.HintOf(err) == "" {
			t.Errorf("%s: code %d, hint %q", tt.name, fault.CodeOf(err), fault.HintOf(err))
		}
	}
}

// Any one character exchanged for another is noticed.
func TestEveryTypoIsNoticed(t *testing.T) {
	text := tokenAt("192.0.2.1:2480").Text()
	for i := len(prefix); i < len(text); i++ {
		for _, r := range "0123456789abcdefghjkmnpqrstvwxyz" {
			typo := text[:i] + string(r) + text[i+1:]
			if _, err := ParseToken(typo); typo != text && err == nil {
				t.Fatalf("%q at %d was not noticed", r, i)
			}
		}
	}
}

// Tokens of IPv4 in IPv6 form are not made, so a second text for one address
// is not read.
func TestMappedAddressIsRefused(t *testing.T) {
	token := tokenAt("192.0.2.1:2480")
	token.Manager = netip.MustParseAddrPort("[::ffff:192.0.2.1]:2480")
	if got, err := ParseToken(token.Text()); err == nil {
		t.Errorf("read as %v", got.Manager)
	}
}

func TestSecretHash(t *testing.T) {
	token := tokenAt("192.0.2.1:2480")
	hash := token.Secret.Hash()
	if !hash.Admits(token.Secret) {
		t.Error("the secret does not fit its own hash")
	}
	for i := range token.Secret {
		wrong := token.Secret
		wrong[i] ^= 1
		if hash.Admits(wrong) {
			t.Errorf("byte %d does not count", i)
		}
	}
}

func TestSecretIsNotShown(t *testing.T) {
	token := tokenAt("192.0.2.1:2480")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", token.Secret, "token", token)
	shown := fmt.Sprintf("%v %s %+v %#v ", token.Secret, token.Secret, token, token.Secret) + log.String()
	if strings.Contains(shown, "240 241") || strings.Contains(shown, "f0f1") || strings.Contains(shown, "0xf0") {
		t.Errorf("the secret is shown: %s", shown)
	}
	if !strings.Contains(shown, "(hidden)") || !strings.Contains(shown, "token a0a1a2a3a4a5a6a7") {
		t.Errorf("shown: %s", shown)
	}
}

// What is accepted has exactly one canonical text, and that text is accepted.
func FuzzParseToken(f *testing.F) {
	v4, v6 := tokenAt("192.0.2.1:2480").Text(), tokenAt("[2001:db8::1]:2480").Text()
	for _, seed := range []string{v4, v6, v4[:50], strings.ToUpper(v6), "iwx1-", "iwx2-00", v4 + v6, "# x\n" + v4, "'" + v6 + "'\n", "iwx1-iiiiiiii"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			if fault.CodeOf(err) != fault.Usage || fault.HintOf(err) == "" {
				t.Errorf("error without code or hint: %v", err)
			}
			return
		}
		again, err := ParseToken(token.Text())
		if err != nil || again != token {
			t.Errorf("%q: %v, then %v, %v", text, token, again, err)
		}
	})
}
