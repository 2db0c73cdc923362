// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

// Package core says what an Execution Context Token (ECT) is, and whether to believe
// one. An ECT is a small record of one task: who did what, on which input, with which
// result, after which other tasks. It knows no transport; packages such as httpect bring
// tokens in and out.
//
// # The pieces
//
// A [Verifier] takes what was [Presented] with a message through the steps of the
// profile, under a [Policy] that is a struct literal and whose trust decisions have no
// default. It asks a [Binder] whose key a token was signed with. What it accepts is
// [Received]: heads, which say what the message says, and context, which is history
// that came along, each a [Verified] with its result in parts.
//
// An [Issuer] writes tokens in one identity's name. [Audiences] say which peers get
// them, and how much. A [Service] ties the three together and runs tasks: a [Task] keeps
// the frontier, the newest tokens that what it does next comes after, so that the graph
// comes out of ordinary code.
//
// # Without HTTP
//
// [Inject] and [Extract] take tokens through queues and files, by a [Carrier] that holds
// them beside a message's content; work that nobody asked for starts a root task with
// [Service.StartTask].
//
// # What goes wrong
//
// Every refusal is an [*Error] with a [Code] out of a closed set; its [Class] is what a
// peer may know. Nothing of a token that was refused is ever in an error. A check that
// cannot be made now is an error, not a pass: fails closed.
//
// # What it is not
//
// AN ECT IS A RECORD, NOT AN AUTHORIZATION: nothing is granted because of one. At L1,
// which is unsigned, it is what someone on the channel claims, and the API says
// ClaimedIssuer; at L2 it is what the holder of a key claims, not proof that the work
// was done.
//
// # Compatibility
//
// Section numbers in comments are those of docs/profile.md. Before version 1.0 the API
// may change; what is on the wire changes only with the profile.
package core
