// SPDX-FileCopyrightText: The go-ect authors
// SPDX-License-Identifier: Apache-2.0

package core_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/go-ect/ect/core"
)

// A cron job starts a root task: no message asked for it, and its record goes to nobody.
func ExampleService_StartTask() {
	g := &exampleGraph{}
	nightly := exampleServices(g, "https://nightly.example")[0]

	ctx, task, err := nightly.StartTask(context.Background(), "nightly_report")
	if err != nil {
		fmt.Println(err)
		return
	}
	figures := []byte("north 7, south 12")
	must(task.Step(ctx, "fetch", core.StepInput{OutHash: core.HashOf(figures)}))
	report := []byte("19 in all")
	_, err = task.Step(ctx, "sum_up", core.StepInput{InpHash: core.HashOf(figures), OutHash: core.HashOf(report)})
	end := core.Completion{OutHash: core.HashOf(report)}
	if err != nil {
		end = core.Completion{Outcome: core.OutcomeError} // a job that fails leaves a record as well
	}
	answer, err := task.Finish(ctx, end)
	if err != nil {
		fmt.Println("the job has no record:", err)
		return
	}
	g.print("fetch", "sum_up", "nightly_report")
	fmt.Println("goes to", answer.Issued.Claims().Audience)
	// Output:
	// fetch after []
	// sum_up after [fetch]
	// nightly_report after [sum_up]
	// goes to [https://nightly.example]
}

// Work that runs side by side has branches that begin at one place: the graph is the
// same however the goroutines are scheduled.
func ExampleTask_Fork() {
	g := &exampleGraph{}
	nightly := exampleServices(g, "https://nightly.example")[0]
	ctx, task, err := nightly.StartTask(context.Background(), "nightly_report")
	if err != nil {
		fmt.Println(err)
		return
	}
	must(task.Step(ctx, "fetch", core.StepInput{}))

	fork := task.Fork(ctx)
	var wg sync.WaitGroup
	for _, region := range []string{"north", "south"} {
		on := fork.Branch(ctx)
		wg.Go(func() {
			must(task.Step(on, "count_"+region, core.StepInput{}))
			must(task.Step(on, "chart_"+region, core.StepInput{}))
		})
	}
	wg.Wait()
	fork.Join()

	must(task.Step(ctx, "sum_up", core.StepInput{}))
	must(task.Finish(ctx, core.Completion{}))
	g.print("count_north", "chart_north", "count_south", "chart_south", "sum_up")
	// Output:
	// count_north after [fetch]
	// chart_north after [count_north]
	// count_south after [fetch]
	// chart_south after [count_south]
	// sum_up after [chart_north chart_south]
}
