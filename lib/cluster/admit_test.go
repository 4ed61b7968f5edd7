package cluster_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"iwx/lib/cluster"
	"iwx/lib/host"
	"iwx/lib/join"
	"iwx/lib/pki"
	"iwx/lib/preflight"
	"iwx/lib/queue"
)

// stamped is the present as messages have it.
func stamped() string { return time.Now().UTC().Format(time.RFC3339) }

func TestJoin(t *testing.T) {
	for from, want := range map[cluster.From]struct{ start, left uint64 }{
		cluster.FromNow:       {4, 3},
		cluster.FromBeginning: {1, 0},
	} {
		t.Run(string(from), func(t *testing.T) {
			onManager(t, func(t *testing.T, l *lab) {
				for range 3 {
					l.add(queue.Members(), 1)
				}
				s := l.server()
				token := l.invite("web1", func(k *cluster.Token) { k.From = from })
				l.mustJoin(s, token)
				a := s.answer
				if a.Start != want.start || a.Left != want.left {
					t.Errorf("starts at %d, leaving %d; want %d, %d", a.Start, a.Left, want.start, want.left)
				}
				if a.Name != "web1" || a.ClusterName != "shop" || a.ClusterID != l.ca.ClusterID() || a.Again ||
					a.Manager != "127.0.0.1:2480" || !bytes.Equal(a.LogKey, l.Identity.LogKey) {
					t.Errorf("answer: %+v", a)
				}
				if preflight.Verdict(a.Checks) != preflight.OK || len(a.Checks) != 8 {
					t.Errorf("checks: %+v", a.Checks)
				}
				l.checkStored(s)
				l.checkUsed(s, token)
			})
		})
	}
}

// checkStored holds the state's node against the answer that its server got.
func (l *lab) checkStored(s *server) {
	l.t.Helper()
	block, _ := pem.Decode([]byte(s.answer.Certificate))
	cert, err := x509.ParseCertificate(block.Bytes)
	check(l.t, err)
	id, err := pki.VerifyClient(l.ca.Cert, []*x509.Certificate{cert}, time.Now())
	if err != nil || id != s.answer.NodeID {
		l.t.Errorf("the certificate is that of %q: %v", id, err)
	}
	n := l.node(s)
	if n.Name != s.answer.Name || n.Membership != cluster.Member || n.Address != s.remote || n.MachineID != s.req.Facts.MachineID ||
		n.Start != s.answer.Start || n.JoinedAt.IsZero() || n.CertSerial != cert.SerialNumber.Text(16) ||
		!n.CertExpires.Equal(cert.NotAfter) || n.Facts.OS.String() != s.req.Facts.OS.String() {
		l.t.Errorf("stored: %+v", n)
	}
}

// checkUsed fails unless the state knows who used the token.
func (l *lab) checkUsed(s *server, token join.Token) {
	l.t.Helper()
	tokens, err := l.store.Tokens(l.t.Context())
	check(l.t, err)
	i := slices.IndexFunc(tokens, func(k cluster.Token) bool { return k.ID == token.ID.String() })
	hash := keyHash(l.t, s.req.CSR)
	if k := tokens[i]; k.Word(time.Now()) != "used" || k.UsedBy != s.remote.String() || k.NodeID != s.id || !bytes.Equal(k.KeyHash, hash[:]) {
		l.t.Errorf("token: %+v", k)
	}
}

// TestJoinRefused has every way in which a token is of no use.
func TestJoinRefused(t *testing.T) {
	for name, try := range map[string]func(t *testing.T, l *lab, s *server) (err error, message, hint string){
		"unknown": func(t *testing.T, l *lab, s *server) (error, string, string) {
			_, err := l.ask(s, join.Token{ID: join.ID{1}})
			return err, `the manager knows no token "0100000000000000"`, "on the manager: iwx-node add NAME"
		},
		"wrong secret": func(t *testing.T, l *lab, s *server) (error, string, string) {
			token := l.invite("web1", nil)
			token.Secret[0]++
			_, err := l.ask(s, token)
			return err, "the secret of token " + token.ID.String() + " is wrong", "on the manager: iwx-node add web1"
		},
		"short secret": func(t *testing.T, l *lab, s *server) (error, string, string) {
			token := l.invite("web1", nil)
			s.req.TokenID, s.req.Secret = token.ID.String(), token.Secret[:15]
			_, err := l.Join(t.Context(), s.remote, s.req)
			return err, "the secret of token " + token.ID.String() + " is wrong", "on the manager: iwx-node add web1"
		},
		"used": func(t *testing.T, l *lab, s *server) (error, string, string) {
			token := l.invite("web1", nil)
			first := l.server()
			l.mustJoin(first, token)
			at := stamped()
			time.Sleep(2 * time.Hour) // that it has expired too does not matter
			_, err := l.ask(s, token)
			return err, fmt.Sprintf("token %s was used at %s by %s", token.ID, at, first.remote), "on the manager: iwx-node add NAME\nif this is web1, set up anew: iwx-node add web1 --rejoin"
		},
		"revoked": func(t *testing.T, l *lab, s *server) (error, string, string) {
			token := l.invite("web1", nil)
			err := l.store.RevokeToken(t.Context(), token.ID.String(), time.Now())
			check(t, err)
			at := stamped()
			time.Sleep(2 * time.Hour)
			_, err = l.ask(s, token)
			return err, fmt.Sprintf("token %s was revoked at %s", token.ID, at), "on the manager: iwx-node add web1"
		},
		"superseded": func(t *testing.T, l *lab, s *server) (error, string, string) {
			token := l.invite("web1", nil)
			l.invite("web1", nil)
			_, err := l.ask(s, token)
			return err, fmt.Sprintf("token %s was revoked at %s", token.ID, stamped()), "on the manager: iwx-node add web1"
		},
		"expired": func(t *testing.T, l *lab, s *server) (error, string, string) {
			token := l.invite("web1", nil)
			at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
			time.Sleep(time.Hour + time.Millisecond)
			_, err := l.ask(s, token)
			return err, fmt.Sprintf("token %s expired at %s", token.ID, at), "on the manager: iwx-node add web1"
		},
		"bound": func(t *testing.T, l *lab, s *server) (error, string, string) {
			token := l.invite("web1", func(k *cluster.Token) { k.Address = addr(99) })
			_, err := l.ask(s, token)
			return err, fmt.Sprintf("token %s is bound to 127.0.0.99, and this server comes from %s", token.ID, s.remote),
				fmt.Sprintf("on the manager: iwx-node add web1 --address %s", s.remote)
		},
		"its node is gone": func(t *testing.T, l *lab, s *server) (error, string, string) {
			token := l.invite("web1", nil)
			l.mustJoin(s, token)
			check(t, l.store.EndMembership(t.Context(), s.id, cluster.Deleted, "root", time.Now()))
			_, err := l.ask(s, token)
			return err, fmt.Sprintf("token %s has been used, and the node that joined with it is gone", token.ID), "on the manager: iwx-node add web1"
		},
	} {
		t.Run(name, func(t *testing.T) {
			onManager(t, func(t *testing.T, l *lab) {
				err, message, hint := try(t, l, l.server())
				refused(t, err, cluster.RefusedToken, message, hint)
			})
		})
	}
}

// TestJoinAtTheLastMoment uses a bound token from its address just before it
// expires.
func TestJoinAtTheLastMoment(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.server()
		token := l.invite("web1", func(k *cluster.Token) { k.Address = s.remote })
		time.Sleep(time.Hour)
		s.req.Time = time.Now().UnixMilli()
		l.mustJoin(s, token)
	})
}

func TestJoinMalformed(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		token := l.invite("web1", nil)
		der := func(b []byte) string {
			return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: b}))
		}
		good, _ := pem.Decode([]byte(csr(t)))
		forged := bytes.Clone(good.Bytes)
		forged[len(forged)-1] ^= 1
		for text, want := range map[string]string{
			"":                  "the certificate request is not PEM",
			"rubbish":           "the certificate request is not PEM",
			der([]byte("abc")):  "the certificate request: certificate request: ",
			der(forged):         "the certificate request: certificate request is not signed by its own key: ",
			der(l.ca.Cert.Raw):  "the certificate request: certificate request: ",
			der(good.Bytes[1:]): "the certificate request: certificate request: ",
		} {
			s := l.server()
			s.req.CSR = text
			_, err := l.ask(s, token)
			var r *cluster.Refusal
			if !errors.As(err, &r) || r.Reason != cluster.RefusedMalformed || !strings.HasPrefix(r.Message, want) {
				t.Errorf("%.60q: %v, want %s", text, err, want)
			}
		}
		l.mustJoin(l.server(), token) // which is still good
	})
}

// TestJoinChecks has a server that does not fit, and an operator who knows
// better.
func TestJoinChecks(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		token := l.invite("web1", nil)
		s := l.server()
		s.req.Facts.OS.Version = "11"
		s.req.Facts.Users[0].UID = 2001
		_, err := l.ask(s, token)
		refused(t, err, cluster.RefusedChecks, "the manager does not take this server as web1", "")
		failed := failures(err)
		if !slices.Equal(failed, []string{"os-version", "uids"}) {
			t.Errorf("failed: %q", failed)
		}
		s.req.Ignore = []string{"os-version"}
		_, err = l.ask(s, token)
		if failed := failures(err); !slices.Equal(failed, []string{"uids"}) {
			t.Errorf("with one ignored, failed: %q", failed)
		}
		s.req.Ignore = []string{"os-version", "uids"}
		l.mustJoin(s, token)
		for _, c := range s.answer.Checks {
			ignored := c.Name == "os-version" || c.Name == "uids"
			if ignored != (c.Status == preflight.Warn) || ignored != strings.HasSuffix(c.Detail, " (ignored)") {
				t.Errorf("%+v", c)
			}
		}
	})
}

// failures are the names of the failed checks that a refusal tells of.
func failures(err error) (names []string) {
	var r *cluster.Refusal
	if errors.As(err, &r) {
		for _, c := range r.Checks {
			if c.Status == preflight.Fail {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// TestJoinTaken: one member to a name and to a machine, whatever the operator
// ignores.
func TestJoinTaken(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		first := l.joined("web1")
		all := preflight.Names()

		copied := l.server()
		copied.req.Facts.MachineID, copied.req.Ignore = first.req.Facts.MachineID, all
		_, err := l.ask(copied, l.invite("web2", nil))
		refused(t, err, cluster.RefusedChecks, "the server is a member already, as web1",
			"on a copied server: rm /etc/machine-id && systemd-machine-id-setup && reboot")

		second := l.server()
		second.req.Ignore = all
		_, err = l.ask(second, l.invite("web1", nil))
		refused(t, err, cluster.RefusedChecks, "another server is a member under the name web1", "on the manager: iwx-node add web1 --rejoin")

		// The same server, with a token that was made before it was a member.
		again := l.server()
		again.req.Facts.MachineID = first.req.Facts.MachineID
		_, err = l.ask(again, l.invite("web1", nil))
		refused(t, err, cluster.RefusedChecks, "the server is a member already, as web1", "on the manager: iwx-node add web1 --rejoin")

		members, err := l.store.Members(t.Context())
		check(t, err)
		if len(members) != 1 || members[0].ID != first.id {
			t.Errorf("members: %+v", members)
		}
	})
}

// TestJoinAgain loses the answer: the same key gets the same place.
func TestJoinAgain(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		token := l.invite("web1", nil)
		s := l.server()
		l.mustJoin(s, token)
		first := *s.answer
		l.add(queue.Members(), 1)
		time.Sleep(48 * time.Hour) // the token has expired, the clocks are apart
		l.mustJoin(s, token)
		if s.answer.NodeID != first.NodeID || s.answer.Start != first.Start || s.answer.Left != first.Left || !s.answer.Again {
			t.Errorf("again: %+v\nfirst: %+v", s.answer, first)
		}
		l.checkStored(s)
		members, err := l.store.Members(t.Context())
		check(t, err)
		if len(members) != 1 {
			t.Errorf("%d members, want 1", len(members))
		}
	})
}

// TestRejoin joins a member again that still has its state, and one that lost
// it.
func TestRejoin(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		l.add(queue.Members(), 1)
		rejoin := func(k *cluster.Token) { k.Rejoin = s.id }
		whole := l.server()
		whole.req.NodeID, whole.req.Facts = s.id, s.req.Facts
		check(t, l.store.SaveSilence(t.Context(), map[string]time.Time{s.id: time.Now()}))
		l.mustJoin(whole, l.invite("web1", rejoin))
		if whole.id != s.id || whole.answer.Start != 1 {
			t.Errorf("with its state it is %s and starts at %d, want %s at 1", whole.id, whole.answer.Start, s.id)
		}
		if n := l.node(whole); !n.SilentSince.IsZero() || n.Address != whole.remote {
			t.Errorf("stored: %+v", n)
		}

		bare := l.server() // a new machine under the old name
		l.mustJoin(bare, l.invite("web1", rejoin))
		if bare.id == s.id || bare.answer.Start != 2 {
			t.Errorf("without its state it is %s and starts at %d, want another id at 2", bare.id, bare.answer.Start)
		}
		at := stamped()
		if n := l.node(s); n.Membership != cluster.Deleted {
			t.Errorf("the place that was lost is %+v", n)
		}
		_, err := l.pollAt(t.Context(), s, queue.Position{}, 0)
		refused(t, err, cluster.RefusedDeleted, "node web1 was deleted from the cluster at "+at+" by joining again without its state",
			"make this an independent server again: iwx-cluster-setup reset")
	})
}

// TestJoinsAtOnce has two hundred servers use one token.
func TestJoinsAtOnce(t *testing.T) {
	const crowd = 200
	onManager(t, func(t *testing.T, l *lab) {
		token := l.invite("web1", nil)
		servers := make([]*server, crowd)
		for i := range servers {
			servers[i] = l.server()
		}
		errs := make([]error, crowd)
		var wg sync.WaitGroup
		for i, s := range servers {
			wg.Go(func() {
				var answer *cluster.JoinAnswer
				if answer, errs[i] = l.ask(s, token); errs[i] == nil {
					s.id = answer.NodeID
				}
			})
		}
		wg.Wait()
		members, err := l.store.Members(t.Context())
		check(t, err)
		if len(members) != 1 {
			t.Fatalf("%d members, want 1", len(members))
		}
		for i, s := range servers {
			if s.id == members[0].ID && s.remote == members[0].Address {
				continue
			}
			refused(t, errs[i], cluster.RefusedToken, fmt.Sprintf("token %s was used at %s by %s", token.ID, stamped(), members[0].Address),
				"on the manager: iwx-node add NAME\nif this is web1, set up anew: iwx-node add web1 --rejoin")
		}
	})
}

// TestJoinLimit bounds the attempts of one address in a minute.
func TestJoinLimit(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s, other := l.server(), l.server()
		try := func(s *server) error {
			_, err := l.ask(s, join.Token{})
			return err
		}
		unknown := `the manager knows no token "0000000000000000"`
		for range 20 {
			refused(t, try(s), cluster.RefusedToken, unknown, "on the manager: iwx-node add NAME")
		}
		over := fmt.Sprintf("%s has tried to join 20 times within 1m0s", s.remote)
		refused(t, try(s), cluster.RefusedLimit, over, "wait a minute, then try again")
		refused(t, try(other), cluster.RefusedToken, unknown, "on the manager: iwx-node add NAME")
		time.Sleep(time.Minute)
		refused(t, try(s), cluster.RefusedLimit, over, "wait a minute, then try again")
		time.Sleep(time.Millisecond)
		refused(t, try(s), cluster.RefusedToken, unknown, "on the manager: iwx-node add NAME")
	})
}

// TestJoinSeenAtOnce: a node may poll as soon as it has its answer.
func TestJoinSeenAtOnce(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		s := l.joined("web1")
		_, err := l.pollAt(t.Context(), s, queue.Position{}, 0)
		check(t, err)
		if l.node(s).LastSeen.IsZero() {
			t.Error("a node that has polled was seen")
		}
	})
}

// TestStrangersCauseNoLookups: the name service is asked for a server that has a valid
// token alone.
func TestStrangersCauseNoLookups(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		asked := 0
		l.Known = func(context.Context, []host.User, []host.User) ([]host.User, error) { asked++; return nil, nil }
		s := l.server()
		s.req.Facts.Users = []host.User{{Name: "nobody-knows", UID: 2001}}
		token := l.invite("web1", nil)
		token.Secret[0] ^= 1
		if _, err := l.ask(s, token); err == nil || asked > 0 {
			t.Errorf("a wrong secret: %v, asked %d times", err, asked)
		}
		token.Secret[0] ^= 1
		if _, err := l.ask(s, token); err != nil || asked != 1 {
			t.Errorf("the right one: %v, asked %d times", err, asked)
		}
	})
}

// TestJoinAsksTheNameService: an account of a directory service is in no file,
// and is found all the same. A missing answer is reported, and does not count as
// no account.
func TestJoinAsksTheNameService(t *testing.T) {
	onManager(t, func(t *testing.T, l *lab) {
		var answer []host.User
		var down error
		l.Known = func(_ context.Context, here, there []host.User) ([]host.User, error) {
			if len(here) == 0 || len(there) == 0 {
				t.Errorf("asked with %v and %v", here, there)
			}
			return answer, down
		}
		uids := func(err error, checks []preflight.Check) preflight.Check {
			if refusal := (*cluster.Refusal)(nil); errors.As(err, &refusal) {
				checks = refusal.Checks
			}
			i := slices.IndexFunc(checks, func(c preflight.Check) bool { return c.Name == "uids" })
			if i < 0 {
				t.Fatalf("%v, %v", err, checks)
			}
			return checks[i]
		}
		s := l.server()
		s.req.Facts.Users = []host.User{{Name: "carl", UID: 2001}}
		token := l.invite("web1", nil)
		for _, known := range []host.User{{Name: "carl", UID: 70001}, {Name: "dora", UID: 2001}} {
			answer = []host.User{known}
			a, err := l.ask(s, token)
			if a != nil || uids(err, nil).Status != preflight.Fail {
				t.Errorf("%v: %v", known, err)
			}
		}
		answer, down = nil, errors.New("the name service has not answered")
		a, err := l.ask(s, token)
		check(t, err)
		if c := uids(nil, a.Checks); c.Status != preflight.Warn || !strings.Contains(c.Detail, "has not answered") {
			t.Errorf("no answer: %+v", c)
		}
	})
}
