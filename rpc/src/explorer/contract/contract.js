// Forms that write to a contract: the server makes the calldata, a wallet in the browser (EIP-1193) signs and sends it.
"use strict";

(() => {
  const wallet = window.ethereum;

  const say = (form, text, hash) => {
    const output = form.querySelector("output");
    output.replaceChildren(document.createTextNode(text));
    if (hash) {
      const link = document.createElement("a");
      link.href = "/tx/" + hash;
      link.textContent = hash;
      output.append(" ", link);
    }
  };

  const encoded = async (form) => {
    const body = new URLSearchParams(new FormData(form));
    const response = await fetch(form.dataset.encode, { method: "POST", body });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    return answer;
  };

  const useChain = async (chain) => {
    const there = await wallet.request({ method: "eth_chainId" });
    if (BigInt(there) === BigInt(chain.chainId)) return;
    try {
      await wallet.request({ method: "wallet_switchEthereumChain", params: [{ chainId: chain.chainId }] });
    } catch (error) {
      if (error.code !== 4902 || !chain.rpcUrl) throw error;
      await wallet.request({
        method: "wallet_addEthereumChain",
        params: [{
          chainId: chain.chainId,
          chainName: "Assent " + BigInt(chain.chainId),
          nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
          rpcUrls: [chain.rpcUrl],
        }],
      });
    }
  };

  const send = async (form) => {
    say(form, "Preparing…");
    const call = await encoded(form);
    say(form, "Waiting for the wallet…");
    const [from] = await wallet.request({ method: "eth_requestAccounts" });
    await useChain(call);
    const { to, data, value } = call;
    const hash = await wallet.request({ method: "eth_sendTransaction", params: [{ from, to, data, value }] });
    if (!/^0x[0-9a-fA-F]{64}$/.test(hash)) throw new Error("the wallet gave no transaction hash");
    say(form, "Sent:", hash);
  };

  for (const form of document.querySelectorAll("form[data-encode]")) {
    const button = form.querySelector("[data-send]");
    if (!wallet) {
      say(form, "There is no wallet in this browser.");
      form.addEventListener("submit", (event) => event.preventDefault());
      continue;
    }
    button.disabled = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      try {
        await send(form);
      } catch (error) {
        say(form, "Not sent: " + (error && error.message ? error.message : "the wallet refused"));
      } finally {
        button.disabled = false;
      }
    });
  }

  // Files are read here and sent as text; without scripts their text is pasted.
  for (const input of document.querySelectorAll("input[type=file][data-into]")) {
    const label = input.closest("[hidden]");
    if (label) label.hidden = false;
    input.addEventListener("change", async () => {
      const [file] = input.files;
      const target = document.getElementById(input.dataset.into);
      if (file && target) target.value = await file.text();
    });
  }
})();
