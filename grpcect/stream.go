// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/go-ect/ect/core"
)

// StreamServerInterceptor returns the interceptor of [UnaryServerInterceptor] for streams:
// the tokens are verified once, at the start, and the record covers the whole stream. A
// stream of any length uses constant memory.
//
// A stream of the client begins before its messages exist, so its dispatch names none and a
// policy of [core.BodyRequire] refuses it. Where a record names messages, a difference is
// the error of RecvMsg at their end, and the call ends with the refusal whatever the handler
// returns.
//
// Put it first in the chain: a stream that stands further out gets messages to send in a
// wrapper, as with unary calls, and reads into an object that shows nothing where a request
// is required to be compared before its handler asks for it, or its type has no size.
func StreamServerInterceptor(s *core.Service, c *Codec, opts ...Option) grpc.StreamServerInterceptor {
	v := newServer("StreamServerInterceptor", s, c, opts)
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if x := v.outer(ss.Context()); x != nil {
			in, err := v.inner(ss.Context(), x, info.FullMethod)
			if err != nil {
				return err
			}
			return handler(srv, &contextStream{ss, in})
		}
		deepen()
		st := &serverStream{ServerStream: ss, x: v.newExchange(ss.Context(), info.FullMethod), many: info.IsClientStream}
		defer st.discard()
		st.listen(ss.Context())
		var err error
		if st.ctx, err = st.x.enter(ss.Context()); err != nil {
			return err
		}
		switch {
		case !st.x.want().Present:
		case st.held != nil:
			st.x.setBodyState(core.BodyBound) // compared before the claim
		default:
			st.x.setBodyState(core.BodyPending)
		}
		return st.serve(srv, handler)
	}
}

// contextStream is a stream with another context.
type contextStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has one
}

// Context implements grpc.ServerStream.
func (s *contextStream) Context() context.Context { return s.ctx }

// serverStream is a stream as its handler sees it.
type serverStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has one
	x   *exchange
	// many tells that the client may send several messages.
	many bool
	// in hashes what comes, and out what goes. Where another service further out on the same
	// server reads the messages, in is that one's.
	in       *content
	own, out content

	mu sync.Mutex
	// held is a request that was read before the handler runs, until it asks for it.
	held *rawMessage
	// ended tells that all that the client sends was read, unsent that something was not
	// sent that the handler did send.
	ended, unsent bool
	bad           *core.Error
	// broke is what grpc-go ended the call with by itself.
	broke error
}

// Context implements grpc.ServerStream.
func (s *serverStream) Context() context.Context { return s.ctx }

// SetHeader implements grpc.ServerStream. Tokens of others do not pass.
func (s *serverStream) SetHeader(md metadata.MD) error { return s.ServerStream.SetHeader(without(md)) }

// SendHeader implements grpc.ServerStream. Tokens of others do not pass.
func (s *serverStream) SendHeader(md metadata.MD) error {
	return s.ServerStream.SendHeader(without(md))
}

// SetTrailer implements grpc.ServerStream. Tokens of others do not pass.
func (s *serverStream) SetTrailer(md metadata.MD) { s.ServerStream.SetTrailer(without(md)) }

// serve runs the handler and ends the task, however the handler ends.
func (s *serverStream) serve(srv any, handler grpc.StreamHandler) (err error) {
	x := s.x
	returned := false
	defer func() {
		if !returned {
			x.abandon(s.ctx, s.received())
		}
	}()
	err = handler(srv, s)
	returned, err = true, handed(err)

	task := x.End()
	if x.turnedAway(s.ctx, err) {
		return err
	}
	bad := s.failure()
	if bad != nil {
		err = x.s.refusal(bad)
	}
	if task == nil {
		return err
	}
	c := x.ends(s.ctx, err, s.received(), s.sent())
	c.Keep = c.Keep || bad != nil // a message that is refused after all gets no answer
	if broke := s.broken(); broke != nil {
		code := codeOf(broke)
		c.Outcome, c.Status, c.Keep = outcomeOf(code), int(code), true
	}
	answer, unrecorded := x.finish(s.ctx, task, c)
	if unrecorded != nil {
		return x.s.refusal(unrecorded)
	}
	x.send(s.ctx, answer, err, func(md metadata.MD) error { s.ServerStream.SetTrailer(md); return nil })
	return err
}

// breaks keeps what a message could not be sent or read for: grpc-go has ended the call with
// it, whatever its handler makes of it, and cancelled its context. It is not where the client
// left.
func (s *serverStream) breaks(err error) {
	switch codeOf(err) {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable:
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broke == nil {
		s.broke = err
	}
}

// broken returns what grpc-go ended the call with by itself, nil if it did not.
func (s *serverStream) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broke
}

// failure returns why the call is refused after all, nil if it is not.
func (s *serverStream) failure() *core.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad
}

// fail makes the call a refused one.
func (s *serverStream) fail(bad *core.Error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad == nil {
		s.bad = bad
	}
	return s.x.s.refusal(s.bad)
}

// listen prepares to hash what comes.
func (s *serverStream) listen(ctx context.Context) {
	s.x.stream, s.in = s, &s.own
	if of := s.x.behind(ctx); of != nil && of.stream != nil {
		s.in = of.stream.in
	}
}

// discard gives up a request that was read for a handler which did not ask for it.
func (s *serverStream) discard() {
	if raw := s.take(); raw != nil {
		raw.data.Free()
	}
}

// received returns the hash of what the client sent, absent if not all of it was read.
func (s *serverStream) received() core.Hash {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		return core.Hash{}
	}
	return s.in.sum()
}

// sent returns the hash of what the handler sent, absent if not all of it can have arrived.
func (s *serverStream) sent() core.Hash {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsent {
		return core.Hash{}
	}
	return s.out.sum()
}

// readContent reads the request of a call that has one, for a policy that requires it to be
// compared before the token is claimed.
func (s *serverStream) readContent(context.Context) (core.Hash, error) {
	if s.many || s.in.messages() > 0 {
		return core.Hash{}, core.NewError(core.CodeBody, errors.New("the messages cannot be held whole"))
	}
	raw, err := s.recvRaw()
	switch {
	case err == nil && raw.by == s.x.s.hook:
		s.held, s.ended = raw, true
		s.x.known = s.in.sum()
		return s.x.known, nil
	case err == nil:
		return core.Hash{}, errNotSeen
	case codeOf(err) == codes.ResourceExhausted:
		return core.Hash{}, core.NewError(core.CodeBodyTooLarge, err)
	}
	return core.Hash{}, core.NewError(core.CodeUnavailable, err)
}

// recvRaw reads a message before its type is known.
func (s *serverStream) recvRaw() (*rawMessage, error) {
	raw := &rawMessage{}
	if err := s.ServerStream.RecvMsg(raw); err != nil {
		raw.data.Free()
		return nil, err
	}
	if s.in == &s.own {
		s.in.add(raw.data)
	}
	return raw, nil
}

// open gives a message the type that it was read without.
func (s *serverStream) open(raw *rawMessage, m any) error {
	defer raw.data.Free()
	if err := s.x.s.hook.open(raw.data, m); err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	return nil
}

// RecvMsg implements grpc.ServerStream.
func (s *serverStream) RecvMsg(m any) error {
	if raw := s.take(); raw != nil {
		return s.open(raw, m)
	}
	err := s.next(m)
	if err == nil && !s.many || err == io.EOF { //nolint:errorlint // as grpc-go says that a stream ended
		if bad := s.judge(); bad != nil {
			return bad
		}
	} else if err != nil {
		s.breaks(err)
	}
	return err
}

// next reads the next message. One that cannot be told from another while it is read has no
// type until it has been.
func (s *serverStream) next(m any) error {
	if s.in != &s.own {
		return s.ServerStream.RecvMsg(m)
	}
	object, ok := identity(m)
	if !ok || !s.x.s.hook.arrivals.expect(object, s.in) {
		raw, err := s.recvRaw()
		switch {
		case err != nil:
			return err
		case raw.by != s.x.s.hook:
			return s.notSeen()
		}
		return s.open(raw, m)
	}
	defer s.x.s.hook.arrivals.forget(object)
	before := s.in.messages()
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if s.in.messages() == before {
		return s.notSeen()
	}
	return nil
}

// take returns the request that was held, once.
func (s *serverStream) take() *rawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw := s.held
	s.held = nil
	return raw
}

// notSeen refuses a stream one of whose messages did not pass the codec.
func (s *serverStream) notSeen() error {
	if s.failure() == nil {
		s.x.s.service.Rejected(s.ctx, errNotSeen, s.x.info())
	}
	return s.fail(errNotSeen)
}

// judge holds what came against the record of who sent it, once all of it came.
func (s *serverStream) judge() error {
	s.mu.Lock()
	first := !s.ended
	s.ended = true
	s.mu.Unlock()
	if bad := s.failure(); bad != nil {
		return s.x.s.refusal(bad) // to who reads on after it
	}
	want := s.x.want()
	if !first || !want.Present {
		return nil
	}
	if s.in.sum() == want {
		s.x.setBodyState(core.BodyBound)
		return nil
	}
	bad := core.NewError(core.CodeBody, errors.New("the messages are not those that their sender's record names"))
	s.x.s.service.BodyDiffered(s.ctx, bad, s.x.info())
	if s.x.enforced() == core.Observe {
		s.x.setBodyState(core.BodyNotBound)
		return nil
	}
	return s.fail(bad)
}

// SendMsg implements grpc.ServerStream.
func (s *serverStream) SendMsg(m any) error {
	if _, ok := m.(*grpc.PreparedMsg); ok || s.x.Task() == nil {
		s.out.lose() // its bytes cannot be seen, or nobody records them
		return s.send(m)
	}
	before := s.out.messages()
	if err := s.send(pack(m, &s.out)); err != nil {
		return err
	}
	if s.out.messages() == before {
		return s.notSeen()
	}
	return nil
}

func (s *serverStream) send(m any) error {
	err := s.ServerStream.SendMsg(m)
	if err != nil {
		s.breaks(err)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unsent = true
	}
	return err
}
