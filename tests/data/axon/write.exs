# Writes files of an Axon model each: its tensors, its inputs and its outputs. They were written with
# Elixir 1.18.4, Nx 0.11.0, Axon 0.8.1 and Safetensors 0.1.3. The file model.safetensors beside them is
# the one that the code of docs/guide/elixir.md writes.

defmodule Files do
  def flat(%Nx.Tensor{} = tensor, path), do: %{Enum.join(path, ".") => tensor}

  def flat(tree, path) do
    for {key, child} <- tree, pair <- flat(child, path ++ [key]), into: %{}, do: pair
  end

  def write(path, model, inputs) do
    {init, _} = Axon.build(model, mode: :train, seed: 1)
    {_, predict} = Axon.build(model)
    state = init.(inputs, Axon.ModelState.empty())
    state = if get_in(state.data, ["batch_norm_0"]), do: with_statistics(state), else: state
    outputs = predict.(state, inputs)
    Safetensors.write!(path, flat(%{"params" => state.data, "inputs" => inputs, "outputs" => outputs}, []))
  end

  # Replaces the zeros and ones that a new model has.
  defp with_statistics(state) do
    statistics = %{"mean" => Nx.tensor([0.1, -0.2, 0.3, 0.0]), "var" => Nx.tensor([0.5, 1.5, 2.0, 0.1])}
    update_in(state.data["batch_norm_0"], &Map.merge(&1, statistics))
  end
end

normal = Axon.Initializers.normal(scale: 0.5)

# Sixteen of them make more than 32 tensors; without an activation the outputs depend on the inputs still.
dense = fn _, x ->
  Axon.dense(x, 4, kernel_initializer: Axon.Initializers.orthogonal(), bias_initializer: normal)
end

image =
  Axon.input("image", shape: {nil, 6, 6, 2})
  |> Axon.conv(3, kernel_size: {3, 2}, activation: :relu, bias_initializer: normal)
  |> Axon.max_pool(kernel_size: 2)
  |> Axon.flatten()
  |> then(&Enum.reduce(0..15, &1, dense))
  |> Axon.dropout(rate: 0.5, seed: 7)
  |> Axon.batch_norm(gamma_initializer: normal, beta_initializer: normal)
  |> Axon.layer_norm(gamma_initializer: normal, beta_initializer: normal)

sequence =
  Axon.input("sequence", shape: {nil, 5, 3})
  |> Axon.lstm(4, recurrent_initializer: :zeros, bias_initializer: normal, name: "lstm_0")
  |> elem(0)
  |> Axon.gru(3, recurrent_initializer: :zeros, bias_initializer: normal, name: "gru_0")
  |> elem(0)

ids =
  Axon.input("ids", shape: {nil, 5})
  |> Axon.embedding(4, 3)
  |> Axon.conv(4, kernel_size: 2, bias_initializer: normal)
  |> Axon.batch_norm(gamma_initializer: normal, beta_initializer: normal)
  |> Axon.silu()
  |> Axon.global_avg_pool()

features = Axon.input("features", shape: {nil, 4})
first = Axon.dense(features, 4, activation: :tanh, name: "first")
second = Axon.dense(first, 4, bias_initializer: normal, name: "second")
branches = Axon.dense(Axon.concatenate(Axon.add(first, second), features), 2)

waves = fn shape -> Nx.sin(Nx.iota(shape, type: :f32)) end
Files.write("image.safetensors", image, waves.({5, 6, 6, 2}))
Files.write("sequence.safetensors", sequence, waves.({5, 5, 3}))
Files.write("ids.safetensors", ids, Nx.tensor([[0, 1, 2, 3, 1], [3, 3, 0, 1, 2], [2, 2, 1, 1, 0]]))
Files.write("branches.safetensors", branches, waves.({5, 4}))
