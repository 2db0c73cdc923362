// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"
	"io"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/go-ect/ect/core"
)

// StreamClientInterceptor returns the interceptor of [UnaryClientInterceptor] for streams.
// The answer is verified, and the messages of both directions are held against it, when the
// stream ends: what is wrong is the error of RecvMsg there, in the place of io.EOF or, where
// the peer sends one message alone, beside it.
//
// A stream of the client begins before its messages exist, so its dispatch names none. A
// call with one request and a stream of replies begins when its request is sent, and its
// dispatch names it; until then nothing of it has happened.
func StreamClientInterceptor(s *core.Service, opts ...ClientOption) grpc.StreamClientInterceptor {
	c := newClient("StreamClientInterceptor", s, opts)
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		to, ok := c.peer(cc)
		ctx = withTrace(ctx, method, c.trace(cc, to, ok))
		k := c.dispatched(opts)
		if k.goesTo(cc, to) {
			return streamer(withoutTrace(ctx, method), desc, cc, method, opts...)
		}
		if k != nil || !ok {
			cs, err := streamer(stripOutgoing(ctx, method), desc, cc, method, opts...)
			if err != nil {
				return nil, err
			}
			return &quietStream{cs, opts, desc.ServerStreams}, nil
		}
		s := &clientStream{c: c, ctx: ctx, to: to, desc: desc, method: method, opened: make(chan struct{})}
		s.begin = func(ctx context.Context, k *call) (grpc.ClientStream, error) {
			// A stream may end by its context alone, and never be read again.
			done := grpc.OnFinish(func(error) { k.d.Done() })
			return streamer(ctx, desc, cc, method, append(slices.Clip(opts), grpc.ForceCodecV2(k), done)...)
		}
		var err error
		if s.k, err = c.newCall(ctx, cc, to, opts); err != nil {
			return nil, err
		}
		s.opts, s.k.stream = opts, true
		if desc.ClientStreams {
			if err := s.open(); err != nil { //nolint:contextcheck // the stream has it
				return nil, err
			}
		}
		return s, nil
	}
}

// quietStream is a stream to a peer that gets no tokens; nor do its own pass.
type quietStream struct {
	grpc.ClientStream
	opts    []grpc.CallOption
	streams bool
}

// RecvMsg implements grpc.ClientStream.
func (s *quietStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != nil || !s.streams {
		hide(s.opts) // which grpc-go has filled by now
	}
	return err
}

// Header implements grpc.ClientStream.
func (s *quietStream) Header() (metadata.MD, error) {
	md, err := s.ClientStream.Header()
	return without(md), err
}

// Trailer implements grpc.ClientStream.
func (s *quietStream) Trailer() metadata.MD { return without(s.ClientStream.Trailer()) }

// clientStream is a stream as its caller sees it.
type clientStream struct {
	c      *client
	ctx    context.Context //nolint:containedctx // a stream has one
	to     core.Audience
	desc   *grpc.StreamDesc
	method string
	opts   []grpc.CallOption
	begin  func(context.Context, *call) (grpc.ClientStream, error)

	// opened is closed when the stream below began, or could not.
	opened chan struct{}

	mu    sync.Mutex
	k     *call
	below grpc.ClientStream
	again bool  // the call was dispatched once more
	came  bool  // a message
	final error // what the stream ended with, once it did
}

// open dispatches the call and begins the stream below.
func (s *clientStream) open() error { return s.begins(s.start(s.k)) }

// begins lets those go on who wait for the stream below: it began, or could not.
func (s *clientStream) begins(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.final = err
	close(s.opened)
	return err
}

func (s *clientStream) start(k *call) error {
	ctx, err := k.dispatch(s.ctx, s.method)
	if err != nil {
		return err
	}
	below, err := s.begin(ctx, k)
	if err != nil {
		k.d.Done() // the peer may have got it
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.k, s.below = k, below
	return nil
}

// wait returns the stream below once it began.
func (s *clientStream) wait() (grpc.ClientStream, *call, error) {
	if !s.begun() {
		select {
		case <-s.opened:
		case <-s.ctx.Done():
			return nil, nil, contextError(s.ctx)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.below == nil {
		return nil, nil, s.final
	}
	return s.below, s.k, nil
}

// Context implements grpc.ClientStream.
func (s *clientStream) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.below == nil {
		return s.ctx
	}
	return s.below.Context()
}

// Header implements grpc.ClientStream. Tokens do not pass.
func (s *clientStream) Header() (metadata.MD, error) {
	below, k, err := s.wait()
	if err != nil {
		return nil, err
	}
	md, err := below.Header()
	k.d.Done()
	return without(md), err
}

// Trailer implements grpc.ClientStream. Tokens do not pass.
func (s *clientStream) Trailer() metadata.MD {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.below == nil {
		return nil
	}
	return without(s.below.Trailer())
}

// SendMsg implements grpc.ClientStream.
func (s *clientStream) SendMsg(m any) error {
	if !s.desc.ClientStreams && !s.begun() {
		if _, ok := m.(*grpc.PreparedMsg); !ok { // whose bytes cannot be seen
			if err := s.k.serialize(m); err != nil {
				return s.begins(err)
			}
		}
		if err := s.open(); err != nil {
			return err
		}
	}
	below, k, err := s.wait()
	if err != nil {
		return err
	}
	if err = k.send(m, below.SendMsg); err != nil && err != io.EOF { //nolint:errorlint // as grpc-go says that RecvMsg tells why
		k.free() // grpc-go ended the call, and nobody may ask for more of it
	}
	return err
}

// begun tells whether the stream below began, or could not.
func (s *clientStream) begun() bool {
	select {
	case <-s.opened:
		return true
	default:
		return false
	}
}

// send sends a message of a stream.
func (k *call) send(m any, send func(any) error) error {
	switch m.(type) {
	case *grpc.PreparedMsg:
		k.out.lose()
	case nil: // an empty message, which grpc-go asks no codec for
		k.out.add(nil)
	}
	k.mu.Lock()
	k.sending, k.marshalled = true, 0
	k.mu.Unlock()
	err := send(m)
	k.mu.Lock()
	k.sending = false
	k.mu.Unlock()
	if err != nil {
		k.out.lose() // the peer may have got it or not
	}
	return err
}

// CloseSend implements grpc.ClientStream.
func (s *clientStream) CloseSend() error {
	if !s.desc.ClientStreams && !s.begun() { // without a request, which the peer will refuse
		if err := s.open(); err != nil {
			return err
		}
	}
	below, k, err := s.wait()
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.closed = true // before the peer knows: its answer may be here before CloseSend returns
	k.mu.Unlock()
	return below.CloseSend()
}

// RecvMsg implements grpc.ClientStream.
func (s *clientStream) RecvMsg(m any) error {
	below, k, err := s.wait()
	if err != nil {
		return err
	}
	if final := s.ended(); final != nil {
		return final
	}
	err = receive(below, m)
	switch {
	case err == nil && s.desc.ServerStreams:
		k.d.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.came = true
		return nil
	case err == nil, err == io.EOF: //nolint:errorlint // as grpc-go says that a stream ended
		return s.end(below, k, nil, err)
	case s.repeats(err, below):
		s.conclude(below, k, err) //nolint:errcheck // the second attempt's outcome is the call's
		if err := s.repeat(k); err != nil {
			return s.end(below, k, err, err)
		}
		return s.RecvMsg(m)
	}
	return s.end(below, k, err, err)
}

// receive receives a message, or what the stream ended with. An attempt that grpc-go makes
// again may end before all that was sent is sent again, as one does that is refused as
// replayed: then grpc-go 1.85 says io.EOF, whatever the attempt ended with, and the truth
// when it is asked once more.
func receive(below grpc.ClientStream, m any) error {
	err := below.RecvMsg(m)
	if err == io.EOF { //nolint:errorlint // as grpc-go says that a stream ended
		err = below.RecvMsg(m)
	}
	return err
}

// ended returns what the stream ended with, nil if it did not.
func (s *clientStream) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.final
}

// end concludes the call, once, and returns what its caller gets in the place of end.
func (s *clientStream) end(below grpc.ClientStream, k *call, failed, end error) error {
	if bad := s.conclude(below, k, failed); bad != nil {
		end = bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.final = end; end == nil {
		s.final = io.EOF
	}
	return end
}

func (s *clientStream) conclude(below grpc.ClientStream, k *call, failed error) error {
	header, err := below.Header()
	if err != nil {
		header = nil // the call failed, which is what counts
	}
	from, _ := peer.FromContext(below.Context())
	err = k.conclude(header, below.Trailer(), from, failed)
	hide(s.opts)
	k.free()
	return err
}

// repeats tells whether a call with one request is to be dispatched once more: nothing came
// of it, and the peer refused it as replayed.
func (s *clientStream) repeats(err error, below grpc.ClientStream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.again || s.came || s.desc.ClientStreams || s.ctx.Err() != nil {
		return false
	}
	s.again = saysReplayed(err, below.Trailer()) && s.k.known.Present && idempotent(s.method)
	return s.again
}

// repeat dispatches a call once more, with the same request.
func (s *clientStream) repeat(before *call) error {
	k, err := s.c.newCall(s.ctx, before.cc, s.to, s.opts)
	if err != nil {
		return err
	}
	k.stream = true
	if err := k.serialize(before.req); err != nil {
		return err
	}
	if err := s.start(k); err != nil {
		return err
	}
	if err := k.send(k.req, s.below.SendMsg); err != nil && err != io.EOF { //nolint:errorlint // as grpc-go says that RecvMsg tells why
		return err
	}
	return s.below.CloseSend()
}
