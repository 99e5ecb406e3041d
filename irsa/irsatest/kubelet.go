package irsatest

import (
	"sync"
	"time"
)

// kubelets rotate the tokens of the pods that ask for it: a goroutine for each pod,
// which ends when the Cluster is closed.
type kubelets struct {
	done    chan struct{}
	stopped sync.Once
	running sync.WaitGroup
}

// start rotates the pod's token whenever 80 % of its life have passed
// (pkg/kubelet/token/token_manager.go, requiresRefresh).
func (k *kubelets) start(p *Pod) {
	period := p.opts.TokenLife * 8 / 10
	k.running.Go(func() {
		ticker := time.NewTicker(period)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				if err := p.rotate(); err != nil {
					p.cluster.report(err)
					return
				}
			case <-k.done:
				return
			}
		}
	})
}

// stop ends the rotations and waits for them.
func (k *kubelets) stop() {
	k.stopped.Do(func() { close(k.done) })
	k.running.Wait()
}
