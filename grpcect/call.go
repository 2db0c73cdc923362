// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
	"github.com/go-ect/ect/internal/section"
)

// client is what the interceptors of one connection have in common.
type client struct {
	clientConfig
	service *core.Service
	binding core.BodyBinding
}

func newClient(name string, s *core.Service, opts []ClientOption) *client {
	c := &client{clientConfig: clientConfig{metadata: DefaultMetadataBytes}, service: s}
	for _, o := range opts {
		c.clientConfig = o.applyClient(c.clientConfig)
	}
	why := ""
	switch {
	case s == nil:
		why = "the service is nil"
	case !s.Records():
		why = "the service has no issuer"
	case c.metadata < 0:
		why = "WithMetadataBytes: the number is negative"
	case c.audience != "":
		switch a, ok := s.Audiences().ByID(c.audience); {
		case !ok:
			why = "WithAudience: the service's audiences do not name it, or it gets no tokens"
		case a.Answer == 0: // which NewAudiences lets pass where there is no endpoint
			why = "WithAudience: the audience does not say whether it must answer"
		}
	}
	if why != "" {
		panic("grpcect." + name + ": " + why) //nolint:forbidigo // wiring time: the program has not begun to call
	}
	c.binding = s.Verifier().Policy().Body
	return c
}

// peer returns who is at the other end of a connection, if tokens go there.
func (c *client) peer(cc *grpc.ClientConn) (core.Audience, bool) {
	if c.audience != "" {
		return c.service.Audiences().ByID(c.audience)
	}
	if cc == nil { // what is no connection has no target to be known by
		return core.Audience{}, false
	}
	if a, ok := c.service.Audiences().AtEndpoint(cc.Target()); ok {
		return a, true
	}
	return c.service.Audiences().AtEndpoint(cc.CanonicalTarget())
}

// call is one call of a task. It is the codec that the call is written with.
type call struct {
	c   *client
	cc  *grpc.ClientConn
	to  core.Audience
	ctx context.Context //nolint:containedctx // the context of the call that the task is in
	d   *core.Dispatch

	codec encoding.CodecV2
	// req is a unary call's request and data what it was serialized to, its hash in known.
	req   any
	data  mem.BufferSlice
	known core.Hash
	// stream tells that messages are hashed as they pass; got is the hash of a unary call's
	// reply.
	stream   bool
	out, in  content
	got      core.Hash
	answered **core.Received

	mu sync.Mutex
	// sending tells that a message is being sent, marshalled how many were serialized for
	// it, closed that no more is to be sent, freed that data is not to be used any more. written
	// tells that the request that the dispatch names was asked for.
	sending    bool
	marshalled int
	closed     bool
	freed      bool
	written    bool
}

// newCall prepares a call from the task of a context.
func (c *client) newCall(ctx context.Context, cc *grpc.ClientConn, to core.Audience, opts []grpc.CallOption) (*call, error) {
	if _, ok := core.TaskFromContext(ctx); !ok {
		return nil, fails(codes.FailedPrecondition, core.ErrNoTask)
	}
	codec, err := codecOf(opts)
	if err != nil {
		return nil, err
	}
	k := &call{c: c, cc: cc, to: to, ctx: ctx, codec: codec}
	for _, o := range opts {
		if a, ok := o.(answerOption); ok {
			k.answered = a.received
		}
	}
	return k, nil
}

// serialize writes the one request of a call, whose hash goes into the dispatch.
func (k *call) serialize(req any) error {
	k.req = req
	if req != nil { // as grpc-go has it: nothing is sent as an empty message
		data, err := k.codec.Marshal(req)
		if err != nil {
			return fails(codes.Internal, fmt.Errorf("grpc: error while marshaling: %w", err))
		}
		k.data = data
	}
	k.known = sumOf(k.data)
	return nil
}

// dispatch issues the token of the call and returns the context that carries it.
func (k *call) dispatch(ctx context.Context, method string) (context.Context, error) {
	task, _ := core.TaskFromContext(ctx)
	d, err := task.Dispatch(ctx, k.to, core.DispatchInput{OutHash: k.known})
	if err != nil {
		return nil, dispatchError(ctx, err)
	}
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	strip(md)
	stripTrace(md, k.to.Trace)
	tokens := d.Tokens()
	n := section.Fit(tokens, core.CarrierTokens, sizeOf(md), k.c.metadata)
	if n == 0 {
		d.Abandon()
		bad := core.NewError(core.CodeTooLarge, errors.New("the metadata has no room for the dispatch"))
		return nil, fails(codes.ResourceExhausted, bad)
	}
	if md == nil {
		md = metadata.MD{}
	}
	md[core.CarrierTokens] = tokens[:n:n]
	k.d = d
	return &sendingContext{metadata.NewOutgoingContext(ctx, md), method, d}, nil
}

// dispatchError is the error of a call that was not made.
func dispatchError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	if e, ok := errors.AsType[*core.Error](err); ok {
		return fails(Code(e.Code), err)
	}
	if errors.Is(err, core.ErrTaskFinished) || errors.Is(err, core.ErrNoAudience) {
		return fails(codes.FailedPrecondition, err)
	}
	return fails(codes.Internal, err)
}

// contextError is what a context ended with, as grpc-go has it.
func contextError(ctx context.Context) *callError {
	return &callError{status.FromContextError(ctx.Err()), ctx.Err()}
}

// Name implements encoding.CodecV2.
func (k *call) Name() string { return k.codec.Name() }

// Marshal implements encoding.CodecV2. A unary call's request was serialized before.
func (k *call) Marshal(v any) (mem.BufferSlice, error) {
	if !k.known.Present {
		data, err := k.codec.Marshal(v)
		if err == nil {
			k.passes(data)
		}
		return data, err
	}
	if data, ok := k.keep(v); ok {
		return data, nil
	}
	data, err := k.codec.Marshal(v)
	if err == nil && sumOf(data) != k.known {
		data.Free()
		return nil, errReplaced
	}
	return data, err
}

// bypassed tells that the request was sent, and not as the dispatch names it.
func (k *call) bypassed(from *peer.Peer) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	sent := from != nil && from.Addr != nil // or something in between answered in the peer's place
	return sent && k.known.Present && k.req != nil && !k.written
}

// keep returns what the request was serialized to. The call keeps it as well, until it is
// over, as something in between may send it again.
func (k *call) keep(v any) (mem.BufferSlice, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.written = true
	if k.freed || !same(v, k.req) {
		return nil, false
	}
	k.data.Ref()
	return k.data, true
}

// free gives up what the request was serialized to.
func (k *call) free() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.freed {
		k.freed = true
		k.data.Free()
	}
}

// errReplaced refuses to send what is not what the dispatch names.
var errReplaced = errors.New("an interceptor further in replaced the message that is recorded: put it before that of grpcect")

// same tells whether two messages are one: one object, or equal values.
func same(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if !x.IsValid() || !y.IsValid() || x.Type() != y.Type() {
		return false
	}
	switch x.Kind() {
	case reflect.Map:
		return x.UnsafePointer() == y.UnsafePointer()
	case reflect.Slice:
		return x.UnsafePointer() == y.UnsafePointer() && x.Len() == y.Len()
	}
	return x.Comparable() && a == b
}

// passes hashes a message of a stream. What is serialized while none is sent, or beside
// the one that is, may be sent later or twice (grpc.PreparedMsg): the stream has no hash then.
func (k *call) passes(data mem.BufferSlice) {
	k.mu.Lock()
	k.marshalled++
	odd := !k.sending || k.marshalled > 1
	k.mu.Unlock()
	if odd {
		k.out.lose()
	}
	k.out.add(data)
}

// Unmarshal implements encoding.CodecV2.
func (k *call) Unmarshal(data mem.BufferSlice, v any) error {
	switch {
	case k.c.binding == core.BodyIgnore:
	case k.stream:
		k.in.add(data)
	default:
		k.got = sumOf(data) // the last attempt's counts
	}
	return k.codec.Unmarshal(data, v)
}

// sent returns the hash of what was sent, absent while it is not known.
func (k *call) sent() core.Hash {
	if k.known.Present {
		return k.known
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		return core.Hash{}
	}
	return k.out.sum()
}

// sentNothing tells whether a stream of the client ended without a message.
func (k *call) sentNothing() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.known.Present && k.closed && !k.out.isLost() && k.out.messages() == 0
}

// received returns the hash of what came.
func (k *call) received() core.Hash {
	if k.stream {
		return k.in.sum()
	}
	return k.got
}

// conclude verifies the answer that came with a call and holds the messages against it.
// failed is what the call ended with, nil if it ended well; the error is what its caller
// gets.
func (k *call) conclude(header, trailer metadata.MD, from *peer.Peer, failed error) error {
	k.d.Done() // also where it failed: the peer may have got it
	bad := k.judge(header, trailer, from, failed)
	switch {
	case bad == nil:
		return failed
	case failed != nil: // what the call failed of comes first, and keeps its status
		return &callError{statusOf(failed), errors.Join(failed, bad)}
	}
	return fails(k.answerCode(bad.Code), bad)
}

// answerCode is the status code of a call that was made, and whose answer is not right. It
// is none that is taken for a call to be made again.
func (k *call) answerCode(c core.Code) codes.Code {
	switch {
	case c == core.CodeBody:
		return codes.DataLoss
	case (c == core.CodeUnavailable || c == core.CodeAnswer) && k.ctx.Err() != nil:
		return contextError(k.ctx).status.Code()
	}
	return codes.Internal
}

// answerInfo says of which message observers are told.
var answerInfo = core.VerifyInfo{Transport: core.TransportGRPC, Answer: true}

func (k *call) judge(header, trailer metadata.MD, from *peer.Peer, failed error) *core.Error {
	values, early := trailer[core.CarrierTokens], header[core.CarrierTokens]
	if core.AnyToken(early) {
		bad := core.NewError(core.CodeMalformed, errors.New("an answer in the header"))
		k.c.service.Rejected(k.ctx, bad, answerInfo)
		return bad
	}
	if failed == nil && k.bypassed(from) {
		bad := core.NewError(core.CodeBody, errors.New("an interceptor further in had the call written with another codec: put it before that of grpcect"))
		k.c.service.BodyDiffered(k.ctx, bad, answerInfo)
		return bad
	}
	if !core.AnyToken(values) {
		if failed != nil || k.to.Answer != core.AnswerRequired {
			return nil
		}
		bad := core.NewError(core.CodeAnswer, errors.New("the peer must answer and did not"))
		k.c.service.Rejected(k.ctx, bad, answerInfo)
		return bad
	}
	got := k.received()
	r, err := k.d.Verify(k.ctx, core.Presented{Values: values, Transport: core.TransportGRPC, Evidence: evidenceOf(from), NoContent: !got.Present})
	if err != nil {
		return asError(err)
	}
	if why := k.differs(r.Heads()[0], got, failed); why != "" {
		bad := core.NewError(core.CodeBody, errors.New(why))
		k.c.service.BodyDiffered(k.ctx, bad, answerInfo)
		return bad
	}
	if k.answered != nil {
		*k.answered = r
	}
	return nil
}

// differs says how the messages are not those that the answer names, "" if they are.
func (k *call) differs(answer *core.Verified, got core.Hash, failed error) string {
	sent, inp, out := k.sent(), answer.InpHash(), answer.OutHash()
	switch {
	case k.c.binding == core.BodyIgnore:
		return ""
	case out.Present && out != got:
		return "the peer's record names other messages than came"
	case inp.Present && inp != sent && (sent.Present || !k.out.isLost()):
		return "the peer's record names other messages than were sent"
	case k.c.binding == core.BodyRequire && failed == nil && !k.sentNothing() && (!inp.Present || !sent.Present):
		return "the peer's record does not name all that was sent"
	}
	return ""
}

// asError takes what a verifier returned as the error it documents.
func asError(err error) *core.Error {
	if e, ok := errors.AsType[*core.Error](err); ok {
		return e
	}
	return core.NewError(core.CodeUnavailable, err)
}

// answerOption is a call option that asks for the answer.
type answerOption struct {
	grpc.EmptyCallOption
	received **core.Received
}

// Answer returns a call option that gives the verified answer of a call, once it is over; it
// stays as it is where none came that is right. For a stream that is after RecvMsg returned
// an error, io.EOF included, or after CloseAndRecv.
func Answer(received **core.Received) grpc.CallOption { return answerOption{received: received} }
