package cluster_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/fault"
)

func publicDER(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	check(t, err)
	return der
}

func TestCheckName(t *testing.T) {
	label := strings.Repeat("a", 63)
	for name, fits := range map[string]bool{
		"web1": true, "w": true, "1": true, "web-1.example.net": true, label: true,
		label + "." + label + "." + label + "." + label[:61]: true,
		label + "." + label + "." + label + "." + label[:62]: false,
		"": false, "Web1": false, "-web": false, "web-": false, "web..net": false, ".web": false, "web.": false,
		"we_b": false, "web 1": false, "web1\n": false, label + "a": false, "wéb": false, "web/1": false,
	} {
		err := cluster.CheckName(name)
		if (err == nil) != fits {
			t.Errorf("%q: %v", name, err)
		}
		if err != nil && fault.CodeOf(err) != fault.Usage {
			t.Errorf("%q: exit code %d", name, fault.CodeOf(err))
		}
	}
}

func TestTokenWord(t *testing.T) {
	now := time.Unix(1000, 0)
	later, earlier := now.Add(time.Second), now.Add(-time.Second)
	for want, token := range map[string]cluster.Token{
		"open":    {ExpiresAt: now},
		"expired": {ExpiresAt: earlier},
		"revoked": {ExpiresAt: earlier, RevokedAt: earlier},
		"used":    {ExpiresAt: later, RevokedAt: earlier, UsedAt: earlier},
	} {
		if got := token.Word(now); got != want {
			t.Errorf("%+v is %s, want %s", token, got, want)
		}
	}
}

func TestNodeWord(t *testing.T) {
	seen := time.Unix(1000, 0)
	for _, tt := range []struct {
		want string
		node cluster.Node
	}{
		{"halted", cluster.Node{Membership: cluster.Member, LastSeen: seen, Status: cluster.Status{Word: "halted"}}},
		{"unreachable", cluster.Node{Membership: cluster.Member, Status: cluster.Status{Word: "current"}}},
		{"unreachable", cluster.Node{Membership: cluster.Member, LastSeen: seen, SilentSince: seen, Status: cluster.Status{Word: "current"}}},
		{"unreachable", cluster.Node{Membership: cluster.Member, LastSeen: seen}},
		{"left", cluster.Node{Membership: cluster.Left, LastSeen: seen, Status: cluster.Status{Word: "current"}}},
		{"deleted", cluster.Node{Membership: cluster.Deleted, LastSeen: seen, Status: cluster.Status{Word: "current"}}},
	} {
		if got := tt.node.Word(); got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.node, got, tt.want)
		}
	}
}

func TestNodeSettled(t *testing.T) {
	n := cluster.Node{Status: cluster.Status{Done: 7}}
	if !n.Settled(7) || n.Settled(8) {
		t.Error("a node that is done with 7 has settled 7 and not 8")
	}
}
