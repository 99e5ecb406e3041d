package irsatest

import (
	"sync"
	"time"
)

// kubeletSyncPeriod is about how often a kubelet syncs a pod (pkg/kubelet/kubelet.go, syncFrequency).
const kubeletSyncPeriod = time.Minute

// kubelets rotates the tokens of pods with AutoRotate. Each pod has a goroutine that ends when the
// Cluster is closed.
type kubelets struct {
	done    chan struct{}
	stopped sync.Once
	running sync.WaitGroup
}

// start starts automatic rotation of the pod's token.
func (k *kubelets) start(p *Pod) {
	k.running.Go(func() {
		timer := time.NewTimer(p.untilNextCheck())
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
			case <-k.done:
				return
			}
			if !time.Now().Before(p.refreshAt()) { // false if Pod.Rotate was called meanwhile
				if err := p.rotate(); err != nil {
					p.cluster.report(err)
					return
				}
			}
			timer.Reset(p.untilNextCheck())
		}
	})
}

// untilNextCheck returns the time until the kubelet next checks the pod's token.
func (p *Pod) untilNextCheck() time.Duration {
	until := time.Until(p.refreshAt())
	if until <= 0 { // overdue, for example because the pod is frozen
		return kubeletSyncPeriod
	}
	return min(until, kubeletSyncPeriod)
}

// refreshAt returns when the kubelet refreshes the pod's current token
// (pkg/kubelet/token/token_manager.go, requiresRefresh). If the token is unreadable, the result is in
// the past.
func (p *Pod) refreshAt() time.Time {
	token := parseUnverified(p.Token())
	issued := token.time("iat")
	return issued.Add(min(token.time("exp").Sub(issued)/10*8, 24*time.Hour))
}

// stop ends all rotations and waits for them.
func (k *kubelets) stop() {
	k.stopped.Do(func() { close(k.done) })
	k.running.Wait()
}
