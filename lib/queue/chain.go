package queue

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"iwx/lib/fault"
)

// chainDomain keeps the chain's hashes apart from any other use of SHA-256.
const chainDomain = "iwx log record v1"

// Next returns the record that follows head, with its digest and hash. body is
// kept, not copied.
func Next(head Position, epoch uint64, kind Kind, targets Targets, body []byte) Record {
	r := Record{
		OpID:    OpID{Epoch: epoch, Seq: head.Seq + 1},
		Kind:    kind,
		Targets: targets.Encode(),
		Digest:  sha256.Sum256(body),
		Body:    body,
	}
	r.Hash = r.chain(head.Hash)
	return r
}

// chain computes h(n) from h(n-1):
// SHA-256(domain, epoch, n, h(n-1), kind, targets, SHA-256(body)), each field
// preceded by its length.
func (r *Record) chain(prev Hash) Hash {
	buf := make([]byte, 0, 256)
	field := func(b []byte) {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(b)))
		buf = append(buf, b...)
	}
	field([]byte(chainDomain))
	field(binary.BigEndian.AppendUint64(nil, r.Epoch))
	field(binary.BigEndian.AppendUint64(nil, r.Seq))
	field(prev[:])
	field([]byte{byte(r.Kind)})
	field(r.Targets)
	field(r.Digest[:])
	return sha256.Sum256(buf)
}

// Page is a run of records that follow one another, as the manager ships it.
type Page struct {
	Records []Record
	Sig     []byte // the log key's signature over the last record's position
	More    bool   // the log goes on after this page
}

// Verify checks that the page's records follow head: numbers without a gap, an
// epoch that rises only with an epoch record, every hash, and every body that
// is there. The signature is checked by the caller, which has the key.
func (p *Page) Verify(head Position) error {
	for i := range p.Records {
		r := &p.Records[i]
		if err := r.verify(head); err != nil {
			return fault.New(fault.Failed, "entry %d: %w", r.Seq, err)
		}
		head = r.Position()
	}
	return nil
}

func (r *Record) verify(head Position) error {
	if r.Seq != head.Seq+1 {
		return fmt.Errorf("it does not follow entry %d", head.Seq)
	}
	if r.Epoch < head.Epoch {
		return fmt.Errorf("its epoch %d is lower than %d", r.Epoch, head.Epoch)
	}
	if r.Epoch > head.Epoch && head.Seq > 0 && r.Kind != KindEpoch {
		return fmt.Errorf("epoch %d begins without an epoch record", r.Epoch)
	}
	if r.chain(head.Hash) != r.Hash {
		return fmt.Errorf("its hash does not follow from entry %d", head.Seq)
	}
	if r.Body != nil && sha256.Sum256(r.Body) != r.Digest {
		return fmt.Errorf("its text differs from the signed one")
	}
	return nil
}
