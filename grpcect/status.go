// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package grpcect

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/go-ect/ect/core"
)

// ErrorDomain is the domain of the google.rpc.ErrorInfo of a refusal (profile 9.4).
const ErrorDomain = "github.com/go-ect/ect"

// reasonPrefix begins the reason of a refusal's ErrorInfo; the class follows.
const reasonPrefix = "ECT_"

// codeOfClass maps each class to its status code. It is never Unauthenticated: a token
// authenticates nobody (profile 9.4).
var codeOfClass = map[core.Class]codes.Code{
	core.ClassMalformed:   codes.InvalidArgument,
	core.ClassRejected:    codes.PermissionDenied,
	core.ClassReplayed:    codes.PermissionDenied,
	core.ClassRequired:    codes.PermissionDenied,
	core.ClassTooLarge:    codes.ResourceExhausted,
	core.ClassUnsupported: codes.Unimplemented,
	core.ClassUnavailable: codes.Unavailable,
	core.ClassUnrecorded:  codes.Internal,
}

// Code returns the gRPC status code of a code, which is that of its class (profile 9.4).
// It is codes.Internal for a code that is unknown.
func Code(c core.Code) codes.Code {
	if s, ok := codeOfClass[c.Class()]; ok {
		return s
	}
	return codes.Internal
}

// reason returns what the ErrorInfo of a class says.
func reason(c core.Class) string {
	return reasonPrefix + strings.ToUpper(strings.ReplaceAll(c.String(), "-", "_"))
}

// classOfReason is reason turned round.
var classOfReason = func() map[string]core.Class {
	m := map[string]core.Class{}
	for c := range codeOfClass {
		m[reason(c)] = c
	}
	return m
}()

// refusal is what an interceptor refuses a call with. Whatever else has the ErrorInfo of a
// refusal came from somewhere else.
type refusal struct {
	status *status.Status
	// x is the call that an interceptor further in refused, nil of one that was refused at once.
	x *exchange
}

// Error implements error.
func (r *refusal) Error() string { return r.status.Err().Error() }

// GRPCStatus is what the status package looks for.
func (r *refusal) GRPCStatus() *status.Status { return r.status }

// refusal returns the error that refuses a call.
func (c *config) refusal(bad *core.Error) error { return &refusal{status: c.refusalOf(bad)} }

// refusalOf returns the status of a refused call: a fixed sentence for each class, and
// nothing of the token.
func (c *config) refusalOf(bad *core.Error) *status.Status {
	class := bad.Code.Class()
	info := &errdetails.ErrorInfo{Reason: reason(class), Domain: ErrorDomain}
	if c.detail {
		info.Metadata = map[string]string{"check": bad.Code.String()}
	}
	details := []protoadapt.MessageV1{info}
	if class == core.ClassUnavailable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryDelay)})
	}
	st := status.New(Code(bad.Code), class.Sentence())
	if with, err := st.WithDetails(details...); err == nil { // they always marshal; if not, the code says enough
		st = with
	}
	return st
}

// handed returns what a handler returned without what would make a refusal of it: one that
// passes on how another peer refused a call did not refuse its own caller's.
func handed(err error) error {
	if _, own := errors.AsType[*refusal](err); own || err == nil {
		return err
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	p := st.Proto()
	all := len(p.GetDetails())
	p.Details = slices.DeleteFunc(p.GetDetails(), func(d *anypb.Any) bool {
		var info errdetails.ErrorInfo
		return d.MessageIs(&info) && d.UnmarshalTo(&info) == nil && info.GetDomain() == ErrorDomain
	})
	if len(p.GetDetails()) == all {
		return err
	}
	return status.FromProto(p).Err()
}

// RefusedAs tells whether a peer refused a call because of its tokens, and as what: the
// class that the ErrorInfo of the error's status names.
func RefusedAs(err error) (core.Class, bool) {
	st, ok := status.FromError(err)
	if !ok || st == nil {
		return 0, false
	}
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == ErrorDomain {
			c, ok := classOfReason[info.GetReason()]
			return c, ok
		}
	}
	return 0, false
}

// recordable returns the status code that a record has: Unknown for one that is too large for
// a record, as which gRPC has what nobody defined.
func recordable(c codes.Code) codes.Code {
	if c > math.MaxUint16 {
		return codes.Unknown
	}
	return c
}

// statusOf returns the status that grpc-go sends for what a handler returned.
func statusOf(err error) *status.Status {
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.FromContextError(err)
}

// codeOf returns the code of statusOf.
func codeOf(err error) codes.Code { return statusOf(err).Code() }

// statusSize returns the bytes that the status of what a handler returned takes in the
// trailing metadata.
func statusSize(err error) int {
	if err == nil {
		return okSize
	}
	st := statusOf(err)
	message := 0
	for _, r := range st.Message() {
		if r < ' ' || r > '~' || r == '%' {
			message += len("%00") * utf8.RuneLen(r) // as it is escaped
		} else {
			message++
		}
	}
	fields := metadata.MD{"grpc-status": {strconv.Itoa(int(st.Code()))}, "grpc-message": {strings.Repeat(" ", message)}}
	if p := st.Proto(); len(p.GetDetails()) > 0 {
		fields["grpc-status-details-bin"] = []string{strings.Repeat(" ", proto.Size(p))}
	}
	return sizeOf(fields)
}

var okSize = sizeOf(metadata.MD{"grpc-status": {"0"}, "grpc-message": {""}})

// outcomeOf says how a task ended, by its status: an error is what counts as the server's
// own, as the OpenTelemetry conventions have it (profile 3.5).
func outcomeOf(code codes.Code) core.Outcome {
	switch code {
	case codes.Canceled:
		return core.OutcomeCancelled
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return core.OutcomeError
	}
	return core.OutcomeOK
}

// callError is a failure of a call that did not come from the peer, or not from the peer
// alone: it has a status, and leads to its causes.
type callError struct {
	status *status.Status
	err    error
}

// fails returns an error of a call that did not come from the peer.
func fails(code codes.Code, err error) *callError {
	return &callError{status.New(code, err.Error()), err}
}

// Error implements error.
func (e *callError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *callError) Unwrap() error { return e.err }

// GRPCStatus is what the status package looks for.
func (e *callError) GRPCStatus() *status.Status { return e.status }
