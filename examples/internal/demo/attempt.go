// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/go-ect/ect/core"
)

// Attempt is a message that somebody sends who should not get through with it, or once who
// should, so that the others show something.
type Attempt struct {
	// What says what is wrong with it, and At to whom it goes.
	What, At string
	// Due is the answer that must come: a status, and a code where the message is refused.
	Due Reply
	// Send sends it.
	Send func(context.Context) (Reply, error)
}

// Reply is how a message was answered.
type Reply struct{ Status, Code string }

// Attempts makes each attempt, in order, and prints what came of it. Its error names those
// that were not answered as was due.
func Attempts(ctx context.Context, w io.Writer, attempts []Attempt) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "attempt\tat\tstatus\tcode\tas it should be") //nolint:errcheck // Flush tells
	var wrong []string
	for _, a := range attempts {
		got, err := a.Send(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", a.What, err)
		}
		verdict := "yes"
		if got != a.Due {
			verdict = fmt.Sprintf("NO: %s %s was due", a.Due.Status, a.Due.Code)
			wrong = append(wrong, a.What)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", a.What, a.At, got.Status, got.Code, verdict) //nolint:errcheck // Flush tells
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("not as it should be: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// Dispatches starts a task whose calls are answered by nobody, as their tokens fall into the
// wrong hands, and returns the tokens.
func Dispatches(ctx context.Context, from *core.Service, action string, to core.Audience, body core.Hash, n int) ([]string, error) {
	ctx, task, err := from.StartTask(ctx, action)
	if err != nil {
		return nil, err
	}
	var tokens []string
	fork := task.Fork(ctx) // none of the calls comes after another
	for range n {
		d, err := task.Dispatch(fork.Branch(ctx), to, core.DispatchInput{OutHash: body})
		if err != nil {
			return nil, err
		}
		d.Done()
		tokens = append(tokens, d.Tokens()[0])
	}
	fork.Join()
	_, err = task.Finish(ctx, core.Completion{Outcome: core.OutcomeCancelled})
	return tokens, err
}

// Forged is what a forger makes of a signed token.
type Forged struct {
	// Tampered says that something else was done, Unsigned is the claims alone, as at L1, and
	// None says that the token needs no signature.
	Tampered, Unsigned, None string
}

// Forge forges a dispatch.
func Forge(token string) (Forged, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Forged{}, errors.New("not a signed token")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Forged{}, err
	}
	other := strings.Replace(string(claims), `"exec_act":"dispatch"`, `"exec_act":"override"`, 1)
	if other == string(claims) {
		return Forged{}, errors.New("not a dispatch")
	}
	none := `{"alg":"none","typ":"exec+jwt","kid":"x"}`
	return Forged{
		Tampered: parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(other)) + "." + parts[2],
		Unsigned: parts[1],
		None:     base64.RawURLEncoding.EncodeToString([]byte(none)) + "." + parts[1] + ".",
	}, nil
}
