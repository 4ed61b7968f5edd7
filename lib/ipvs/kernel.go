package ipvs

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"iwx/lib/fault"
)

// kernel is one conversation with IPVS.
type kernel struct {
	ctx    context.Context
	conn   *genetlink.Conn
	family uint16
}

// part is an attribute of a request, with what is nested in it.
type part struct {
	typ    uint16
	encode func(*netlink.AttributeEncoder) error
}

// call sends a request and returns the answers to it. The kernel's refusals are
// errors of package unix in the chain.
func (k *kernel) call(cmd uint8, flags netlink.HeaderFlags, parts ...part) ([]genetlink.Message, error) {
	if err := k.ctx.Err(); err != nil {
		return nil, err
	}
	e := netlink.NewAttributeEncoder()
	for _, p := range parts {
		e.Nested(p.typ, p.encode)
	}
	data, err := e.Encode()
	if err != nil {
		return nil, err
	}
	request := genetlink.Message{Header: genetlink.Header{Command: cmd, Version: 1}, Data: data}
	answers, err := k.conn.Execute(request, k.family, netlink.Request|flags)
	if errors.Is(err, os.ErrPermission) {
		err = fault.Hint(err, "run as root")
	}
	return answers, err
}

// change sends a request that is answered by success or a refusal.
func (k *kernel) change(cmd uint8, parts ...part) error {
	_, err := k.call(cmd, netlink.Acknowledge, parts...)
	return err
}

// version asks for the version of IPVS, which only shows that it may be asked.
func (k *kernel) version() error {
	if _, err := k.call(cmdGetInfo, 0); err != nil {
		return fmt.Errorf("ask the kernel for ipvs: %w", err)
	}
	return nil
}

// services returns all virtual services, whosever they are.
func (k *kernel) services() ([]service, error) {
	answers, err := k.call(cmdGetService, netlink.Dump)
	if err != nil {
		return nil, fmt.Errorf("list the virtual services: %w", err)
	}
	list := make([]service, len(answers))
	for i, answer := range answers {
		if list[i], err = decodeService(answer.Data); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// dests returns the real servers of a virtual service; none if it has gone.
func (k *kernel) dests(s service) ([]dest, error) {
	answers, err := k.call(cmdGetDest, netlink.Dump, part{attrService, s.encodeKey})
	if err != nil {
		return nil, fmt.Errorf("list the real servers of %s: %w", s.key(), err)
	}
	list := make([]dest, len(answers))
	for i, answer := range answers {
		if list[i], err = decodeDest(answer.Data, familyOf(s.addr)); err != nil {
			return nil, err
		}
	}
	return list, nil
}
