// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package grpcect carries Execution Context Tokens over gRPC: server interceptors that verify
// what comes in and record what was done, client interceptors that record calls and verify
// their answers, and the codec hook by which they know what messages are on the wire.
//
// # Serving
//
// [ServerOptions] is all that a server needs. It goes before other interceptors, so that
// these run with the task in their context:
//
//	server := grpc.NewServer(grpcect.ServerOptions(service)...)
//
// Every value of the metadata key execution-context is verified before the handler runs. The
// handler's context has a [core.Task], and its metadata has no token any more. The task's own
// token goes back in the trailing metadata, also where the handler fails: a failed task is a
// task. A task whose record cannot be made ends the call with codes.Internal: fails closed.
//
// What recovers from panics belongs further in: a panic that gets here is recorded as an
// error and goes on, and who recovers from it further out answers without a token.
//
// Health checks and reflection come without tokens, those that a grpc-go client makes by
// itself (healthCheckConfig) included, and are refused like any other call: a connection that
// checks health would never be ready. Leave them out with the selector of go-grpc-middleware,
// as the example does, over [UnaryServerInterceptor] and [StreamServerInterceptor]. Under
// [core.Optional] they pass, and so does every other call without a token.
//
// # Calling
//
// [DialOptions] is all that a connection needs. It goes after interceptors that change
// requests or retry, and before others:
//
//	conn, err := grpc.NewClient("dns:///billing.example:8443", append(
//		grpcect.DialOptions(service, grpcect.WithAudience("https://billing.example")),
//		grpc.WithTransportCredentials(creds))...)
//
// A call issues a dispatch in the task of its context, and fails with [core.ErrNoTask] where
// there is none. What comes back is verified, held against the messages of the call, and
// takes the dispatch's place in what the task comes after; [Answer] gives it to who asks.
//
// [WithAudience] says who is at the other end, and the program does not start if the
// audiences do not name that peer. Without it, the target decides, byte for byte, as an
// endpoint does over HTTP: a connection whose target no audience names carries no tokens, and
// its calls are not recorded.
//
// # Tracing
//
// Metadata of distributed tracing, that of W3C Trace Context, W3C Baggage and its like, tells a
// peer which calls belong together. It goes along where an audience says so
// ([core.Audience].Trace), with tokens or without, and nowhere else:
//   - the interceptors take out what they find, so others that add some go before them;
//   - [GuardTrace] takes out what a stats handler has added, which runs behind all
//     interceptors, and stands anywhere;
//   - [CheckTrace], which is among [DialOptions], has a call fail before it is sent where any of
//     it is there all the same: a stats handler is not guarded, or an interceptor that adds
//     some is further in.
//
// With OpenTelemetry, a connection has
//
//	grpc.WithStatsHandler(grpcect.GuardTrace(otelgrpc.NewClientHandler()))
//
// On a listener at the edge of a trust domain, [DropTrace] takes out what comes, before stats
// handlers and interceptors see it. Header and trailing metadata are not changed.
//
// # Streams
//
// The tokens of a stream are verified once, at its start, and one record covers all of it.
// Memory stays constant, as nothing is held back: a message is acted on when it comes, and
// what is wrong with the whole shows at its end. On both sides that is an error of RecvMsg in
// the place of io.EOF; on the server the call then ends with the refusal, whatever its
// handler returns.
//
// So a caller has to receive until an error, io.EOF or another. One that leaves before has
// verified nothing: it gets no error for that, and its dispatch stays in the graph without an
// answer. A handler that returns before it has received all leaves a record without
// `inp_hash`.
//
// A stream of the client begins before its messages exist, so its dispatch names none, and a
// server under [core.BodyRequire] refuses all such streams. Give those methods a service of
// the same identity with another policy, both with one [core.WithTaskStore] and one
// [core.WithReplayStore].
//
// # Hashes and codecs
//
// A hash covers each message of one direction as it was serialized, before compression, and
// before it its length as eight bytes, big-endian (profile 9.6). It does so for unary calls
// and streams alike, so it is never the hash that the same bytes have over HTTP. A message is
// serialized once: protobuf has many serializations of one message, and a second one may
// differ from what was sent.
//
// What came is held against the record of its sender: the head of who the connection's client
// certificate names, or the only head where there is no certificate.
//
// [Codec] is the hook. A server has one, over protobuf or over a codec of one's own
// ([NewCodec], [NewCodecV1]), and speaks no other: a call that names another content-subtype
// is refused as unsupported, where it comes to the interceptors: a unary call whose bytes the
// codec cannot read ends before, as codes.Internal. It takes the place of grpc.ForceServerCodec; where a server is given
// that as well, and after it, calls are refused as unavailable. Clients need no hook: the
// codec of a call is taken from its options, as grpc-go does it.
//
// # Retries
//
// A token is acted on once. What grpc-go repeats by itself carries the same token:
//   - a call that the server never processed, or that it refused as unavailable, was not
//     claimed, and the next attempt is accepted;
//   - a call whose handler ran is refused as replayed, with codes.PermissionDenied, which is
//     what the caller gets in the place of what the handler had said. So a retry policy for
//     statuses that handlers return does no good where a method may not run twice. Where the
//     method is declared to be repeatable (`idempotency_level`), the client dispatches it once
//     more, and the handler runs a second time.
//
// A retry interceptor belongs outside of this package's, where each attempt is a dispatch of
// its own and none is a replay: then nothing here stops a handler from running twice. Every
// attempt comes after those before it, so a peer that rejects missing predecessors and never
// saw the first refuses the second, unless its audience has one generation of context.
//
// # Errors
//
// A refusal is a status with the fixed sentence of its class, a google.rpc.ErrorInfo with the
// reason (such as ECT_REPLAYED) and [ErrorDomain], and google.rpc.RetryInfo where the service
// could not decide. [Code] has the table, [RefusedAs] reads the class from an error, and
// observers of the service get the cause. It is never codes.Unauthenticated: a token
// authenticates nobody. A handler that returns the error of a call of its own hands on its
// status, but not that it was a refusal.
//
// In a caller, an answer that is missing or not right is codes.Internal, and messages that
// are not those that it names are codes.DataLoss, neither of which says that the call may be
// made again. A call that failed by itself keeps its status and its details. errors.As finds
// the [core.Error] in either.
//
// # What is not protected
//
// An interceptor given with grpc.UnaryInterceptor or grpc.StreamInterceptor is further out
// than the chain, wherever it stands, and so are stats handlers, binary logging and tap
// handles. They see tokens as they came, and messages that nobody has verified. A call that
// an interceptor further out refuses is neither claimed nor recorded. A request that it
// replaces is refused as unavailable; one that it changes in place is not told apart, and the
// record names what was on the wire. A reply that it replaces is sent, and does not fit the
// record.
//
// Tokens of others are removed from what handlers and callers are shown and from what they
// send, by grpc.SetHeader, grpc.SendHeader and grpc.SetTrailer too. What is set through
// [TransportContext], or by an interceptor further out, is not looked at: tokens among it
// make the call one without a right answer.
//
// A message that was serialized elsewhere (grpc.PreparedMsg) passes unseen: the messages of
// its direction have no hash. Under [core.BodyMatch] nothing is compared then, and under
// [core.BodyRequire] the call fails. The reply of a unary call is sent once it was recorded:
// where it is too large to be sent, the call fails, and the record says what the handler
// returned.
package grpcect
