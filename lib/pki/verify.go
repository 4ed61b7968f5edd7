package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"iwx/lib/fault"
)

// Reason reports why a certificate was refused. The words are part of the wire
// protocol: a refused node shows them in its status.
type Reason string

// The reasons, in the order they are looked for.
const (
	NoCertificate Reason = "no-certificate"
	OtherCluster  Reason = "other-cluster"
	ForeignCA     Reason = "foreign-ca"
	Expired       Reason = "expired"
	NotYetValid   Reason = "not-yet-valid"
	WrongUsage    Reason = "wrong-usage"
	Malformed     Reason = "malformed"
)

// Refused is the error of a certificate that does not belong here.
type Refused struct {
	Reason Reason
	At     time.Time // Expired: since when; NotYetValid: from when
	Detail string    // OtherCluster: the id it names; Malformed: what is wrong
}

// Error says what is wrong with the certificate.
func (r *Refused) Error() string {
	switch r.Reason {
	case NoCertificate:
		return "no client certificate"
	case OtherCluster:
		return fmt.Sprintf("certificate is of another cluster, %s", r.Detail)
	case ForeignCA:
		return "certificate is not signed by the CA of this cluster"
	case Expired:
		return "certificate expired at " + r.At.UTC().Format(time.RFC3339)
	case NotYetValid:
		return "certificate is not valid before " + r.At.UTC().Format(time.RFC3339)
	case WrongUsage:
		return "certificate is not a node's"
	}
	return "certificate: " + r.Detail
}

// ReasonOf returns why err refused a certificate, "" if it did not.
func ReasonOf(err error) Reason {
	if r := (*Refused)(nil); errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

// NodeID returns the ids of node and cluster that cert names. Without a
// verification they are claims only.
func NodeID(cert *x509.Certificate) (node, cluster string, err error) {
	if len(cert.DNSNames) == 1 {
		label := strings.Split(cert.DNSNames[0], ".")
		if len(label) == 3 && label[1] == "node" && CheckID(label[0]) == nil && CheckID(label[2]) == nil {
			return label[0], label[2], nil
		}
	}
	return "", "", &Refused{Reason: Malformed, Detail: fmt.Sprintf("names %.200q are not those of a node", cert.DNSNames)}
}

// VerifyClient returns the id of the node that a TLS peer has proved to be.
// chain is the peer's, leaf first; only the leaf counts, since the CA signs
// leaves directly. The error is always a *Refused. Whether the node is still a
// member is the caller's to look up.
func VerifyClient(ca *x509.Certificate, chain []*x509.Certificate, now time.Time) (nodeID string, err error) {
	if len(chain) == 0 {
		return "", &Refused{Reason: NoCertificate}
	}
	leaf := chain[0]
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots:       roots,
		CurrentTime: now,
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return "", diagnose(ca, leaf, now, err)
	}
	nodeID, _, err = NodeID(leaf)
	return nodeID, err
}

// diagnose finds the reason for x509's err, which names only the first fault it
// met. A node of another iwx cluster, mostly a server that was moved, is told
// from a certificate of unknown origin.
func diagnose(ca, leaf *x509.Certificate, now time.Time, err error) *Refused {
	_, cluster, nameErr := NodeID(leaf)
	invalid := x509.CertificateInvalidError{}
	switch {
	case nameErr == nil && cluster != ca.Subject.CommonName:
		return &Refused{Reason: OtherCluster, Detail: cluster}
	case leaf.CheckSignatureFrom(ca) != nil:
		return &Refused{Reason: ForeignCA}
	case now.After(leaf.NotAfter):
		return &Refused{Reason: Expired, At: leaf.NotAfter}
	case now.Before(leaf.NotBefore):
		return &Refused{Reason: NotYetValid, At: leaf.NotBefore}
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return &Refused{Reason: WrongUsage}
	}
	return &Refused{Reason: Malformed, Detail: err.Error()}
}

// ExplainManager adds to the error of a dial what to do, when the cause is the
// manager's certificate. Other errors are returned as they are.
func ExplainManager(err error) error {
	var cert *tls.CertificateVerificationError
	if !errors.As(err, &cert) {
		return err
	}
	invalid := x509.CertificateInvalidError{}
	name := x509.HostnameError{}
	switch {
	case errors.As(err, &x509.UnknownAuthorityError{}), errors.As(err, &name) && !sameCluster(name):
		return fault.Hint(err, "the server at this address is not the manager of this cluster; iwx-cluster-setup status")
	case errors.As(err, &name):
		return fault.Hint(err, "the server at this address is of this cluster, but not its manager")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fault.Hint(err, "compare the clocks of both servers with date -u; if they agree, on the manager: iwx-cluster-setup renew")
	}
	return err
}

// sameCluster reports whether a certificate that is not the manager's names
// the same cluster. Names are compared before signatures, so that it is the
// first that is found out about a manager of another one.
func sameCluster(e x509.HostnameError) bool {
	cluster, found := strings.CutPrefix(e.Host, "manager")
	return found && len(e.Certificate.DNSNames) == 1 && strings.HasSuffix(e.Certificate.DNSNames[0], cluster)
}
