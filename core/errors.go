// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core

import "errors"

// Class says to the sender what became of a message. It is what goes on the wire
// (profile 9.4); which check failed is a [Code] and stays here.
type Class uint8

// The classes (profile 9.4).
const (
	ClassMalformed Class = iota + 1
	ClassRejected
	ClassReplayed
	ClassRequired
	ClassTooLarge
	ClassUnsupported
	ClassUnavailable
	ClassUnrecorded
)

var classes = [...]struct{ name, sentence string }{
	ClassMalformed:   {"malformed", "An execution context token is not well formed."},
	ClassRejected:    {"rejected", "An execution context token was not accepted."},
	ClassReplayed:    {"replayed", "An execution context token was presented before."},
	ClassRequired:    {"required", "An execution context token is required."},
	ClassTooLarge:    {"too-large", "The execution context tokens, or the body that they speak of, exceed a limit."},
	ClassUnsupported: {"unsupported", "The message has a form in which execution context tokens are not taken here."},
	ClassUnavailable: {"unavailable", "Execution context tokens cannot be verified at the moment."},
	ClassUnrecorded:  {"unrecorded", "The task may have been done, but no record of it could be made."},
}

// String returns the stable name that is the `code` of a problem document.
func (c Class) String() string {
	if c == 0 || int(c) >= len(classes) {
		return "unknown"
	}
	return classes[c].name
}

// Sentence returns the fixed sentence that a peer may see. Nothing of a token is in it.
func (c Class) Sentence() string {
	if c == 0 || int(c) >= len(classes) {
		return "The execution context could not be processed."
	}
	return classes[c].sentence
}

// Code says why a token or a message was refused. The set is closed and its names
// are stable and few, so that they serve as metric labels and in `error.type`.
type Code uint8

// The codes, in the order of verification (profile 4).
const (
	// CodeMalformed: form, base64url, JSON syntax, dates (profile 2.5 to 2.7).
	CodeMalformed Code = iota + 1
	// CodeTooLarge: a limit of profile 9.2.
	CodeTooLarge
	// CodeBodyTooLarge: tokens in the body pass a limit of profile 9.2, or a body that has
	// to be held whole is over its cap (profile 9.7).
	CodeBodyTooLarge
	// CodeUnsupported: the tokens came in the body, and are not taken there (profile 9.3), or
	// the message is written in a way that the adapter does not read.
	CodeUnsupported
	// CodeRequired: no token came and one is needed.
	CodeRequired
	// CodeHeader: a header parameter is missing, of the wrong type, or forbidden (profile 2.2).
	CodeHeader
	// CodeType: `typ` is none of an ECT's (profile 2.3).
	CodeType
	// CodeAlgorithm: `alg` is not allowed, or does not fit the key (profile 2.4).
	CodeAlgorithm
	// CodeKeyUnknown: `iss` and `kid` name no key of a trusted identity (profile 6).
	CodeKeyUnknown
	// CodeSignature: the signature is wrong.
	CodeSignature
	// CodeClaims: a claim is missing, of the wrong type or value (profile 3).
	CodeClaims
	// CodeIssuer: `iss` is not what the key is bound to.
	CodeIssuer
	// CodeAudience: `aud` does not name this verifier.
	CodeAudience
	// CodeExpired: `exp` has passed.
	CodeExpired
	// CodeTooOld: `iat` is too long ago.
	CodeTooOld
	// CodeNotYetValid: `iat` is in the future.
	CodeNotYetValid
	// CodeLevel: below the minimum level (profile 1.3).
	CodeLevel
	// CodeNoHead: no token of the message is a head (profile 4.1).
	CodeNoHead
	// CodePredMissing: a predecessor was never verified here (profile 5.2).
	CodePredMissing
	// CodePredAmbiguous: several tokens bear a predecessor's name (profile 3.6).
	CodePredAmbiguous
	// CodePredDigest: what bears a predecessor's name is another token (profile 3.6).
	CodePredDigest
	// CodePredTime: a predecessor is later than its successor (profile 5.3).
	CodePredTime
	// CodeCycle: the token would come after itself (profile 5.4).
	CodeCycle
	// CodeWalkLimit: too many ancestors to rule a cycle out (profile 5.4).
	CodeWalkLimit
	// CodeWorkflow: an edge leaves the workflow and no policy admits it (profile 5.5).
	CodeWorkflow
	// CodeChainLevel: an ancestor is below the minimum of the chain (profile 5.6).
	CodeChainLevel
	// CodeEquivocation: one issuer gave one `jti` to two tokens (profile 5.1, 7.2).
	CodeEquivocation
	// CodeBody: the body is not the one the sender's record names (profile 9.7).
	CodeBody
	// CodeAnswer: not an answer to this dispatch by the identity that was called.
	CodeAnswer
	// CodeAltered: an answer is missing or does not fit its body, and what came shows that
	// something between here and the peer changes what passes (profile 9.7).
	CodeAltered
	// CodeReplayed: presented before (profile 7).
	CodeReplayed
	// CodeUnavailable: a check cannot be done now: keys, replay store or task store.
	CodeUnavailable
	// CodeUnrecorded: the task was done, its record could not be made.
	CodeUnrecorded

	codeEnd
)

var codes = [codeEnd]struct {
	name  string
	class Class
}{
	CodeMalformed:     {"malformed", ClassMalformed},
	CodeTooLarge:      {"too_large", ClassTooLarge},
	CodeBodyTooLarge:  {"body_too_large", ClassTooLarge},
	CodeUnsupported:   {"unsupported", ClassUnsupported},
	CodeRequired:      {"required", ClassRequired},
	CodeHeader:        {"header", ClassRejected},
	CodeType:          {"type", ClassRejected},
	CodeAlgorithm:     {"algorithm", ClassRejected},
	CodeKeyUnknown:    {"key_unknown", ClassRejected},
	CodeSignature:     {"signature", ClassRejected},
	CodeClaims:        {"claims", ClassRejected},
	CodeIssuer:        {"issuer", ClassRejected},
	CodeAudience:      {"audience", ClassRejected},
	CodeExpired:       {"expired", ClassRejected},
	CodeTooOld:        {"too_old", ClassRejected},
	CodeNotYetValid:   {"not_yet_valid", ClassRejected},
	CodeLevel:         {"level", ClassRejected},
	CodeNoHead:        {"no_head", ClassRejected},
	CodePredMissing:   {"pred_missing", ClassRejected},
	CodePredAmbiguous: {"pred_ambiguous", ClassRejected},
	CodePredDigest:    {"pred_digest", ClassRejected},
	CodePredTime:      {"pred_time", ClassRejected},
	CodeCycle:         {"cycle", ClassRejected},
	CodeWalkLimit:     {"walk_limit", ClassRejected},
	CodeWorkflow:      {"workflow", ClassRejected},
	CodeChainLevel:    {"chain_level", ClassRejected},
	CodeEquivocation:  {"equivocation", ClassRejected},
	CodeBody:          {"body", ClassRejected},
	CodeAnswer:        {"answer", ClassRejected},
	CodeAltered:       {"altered", ClassRejected},
	CodeReplayed:      {"replayed", ClassReplayed},
	CodeUnavailable:   {"unavailable", ClassUnavailable},
	CodeUnrecorded:    {"unrecorded", ClassUnrecorded},
}

// String returns the stable name, for metric labels and logs.
func (c Code) String() string {
	if c == 0 || c >= codeEnd {
		return "unknown"
	}
	return codes[c].name
}

// Class returns what the sender is told.
func (c Code) Class() Class {
	if c >= codeEnd {
		return 0
	}
	return codes[c].class
}

// Codes returns every code, in the order of verification, for tables that must
// cover them all.
func Codes() []Code {
	all := make([]Code, 0, codeEnd-1)
	for c := CodeMalformed; c < codeEnd; c++ {
		all = append(all, c)
	}
	return all
}

// Error is the one error type of verification and issuing. Its text holds the code
// and the cause, and never a byte of a token that was refused (profile 4.3).
// [errors.Is] compares codes: errors.Is(err, &Error{Code: CodeExpired}).
type Error struct {
	Code Code
	err  error
}

// Error implements error.
func (e *Error) Error() string {
	if e.err == nil {
		return "ect: " + e.Code.String()
	}
	return "ect: " + e.Code.String() + ": " + e.err.Error()
}

// Unwrap returns the cause, for hooks and logs; it may be nil.
func (e *Error) Unwrap() error { return e.err }

// ErrorType returns the text of the code. Instrumentation of OpenTelemetry that sets `error.type`
// from an error takes it from here, so that what it says of a call is the code as well.
func (e *Error) ErrorType() string { return e.Code.String() }

// Is reports whether target is an [*Error] of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// NewError is for binders and adapters, which refuse in this library's terms. The
// cause must not contain bytes of a token.
func NewError(code Code, cause error) *Error { return &Error{Code: code, err: cause} }

// CodeOf returns the code of the first [*Error] in err's tree, or 0.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return 0
}

func refuse(code Code, why string) *Error { return &Error{Code: code, err: errors.New(why)} }
